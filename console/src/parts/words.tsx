// Words that come from outside: shown harmless, cut where they are long, and easy to copy whole.
import { useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import CheckIcon from "tdesign-icons-react/esm/components/check";
import CopyIcon from "tdesign-icons-react/esm/components/copy";
import ErrorCircleIcon from "tdesign-icons-react/esm/components/error-circle";
import { Button } from "tdesign-react/es/button";
import { shorten, visible } from "../format";

// How long "Copied" stands in the button.
const COPIED_MS = 2000;

export function CopyButton({ text, what, withText = false }: { text: string; what: string; withText?: boolean }) {
  const { t } = useTranslation();
  const [state, setState] = useState<"idle" | "done" | "failed">("idle");
  useEffect(() => {
    if (state === "idle") return;
    const timer = setTimeout(() => setState("idle"), COPIED_MS);
    return () => clearTimeout(timer);
  }, [state]);
  const copy = () =>
    navigator.clipboard.writeText(text).then(
      () => setState("done"),
      () => setState("failed"),
    );
  const said = state === "idle" ? t("app.copy") : state === "done" ? t("app.copied") : t("app.copyFailed");
  const icon = state === "idle" ? <CopyIcon /> : state === "done" ? <CheckIcon /> : <ErrorCircleIcon />;
  return (
    <Button
      className="copy"
      variant={withText ? "outline" : "text"}
      size="small"
      shape={withText ? "rectangle" : "square"}
      icon={icon}
      onClick={() => void copy()}
      aria-label={`${said}: ${what}`}
      title={said}
    >
      {withText ? said : undefined}
    </Button>
  );
}

// A path, a name, an argument: whatever its bytes, it stays text.
export function Word({ text }: { text: string }) {
  const shown = visible(text);
  return (
    <code className="word" dir="ltr" title={shown.length > 24 ? shown.slice(0, 4096) : undefined}>
      {shown}
    </code>
  );
}

// A wallet or container id: its two ends, with the whole of it to copy.
export function LongWord({ text, what, keep }: { text: string; what: string; keep?: number }) {
  const shown = visible(text);
  return (
    <span className="long-word">
      <code className="word" dir="ltr" title={shown}>
        {shorten(shown, keep)}
      </code>
      <CopyButton text={text} what={what} />
    </span>
  );
}
