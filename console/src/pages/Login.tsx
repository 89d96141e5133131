// Takes the one-time link. With a token in the fragment it logs in at once; the fragment is gone from the address
// bar and the history before the request leaves.
import { type FormEvent, useEffect, useRef, useState } from "react";
import { Trans, useTranslation } from "react-i18next";
import { useLocation, useNavigate } from "react-router";
import { Button } from "tdesign-react/es/button";
import { Input } from "tdesign-react/es/input";
import { Loading } from "tdesign-react/es/loading";
import { ApiError, api } from "../api/client";
import { queryClient } from "../api/queries";
import { Brand } from "../frame/Brand";
import { Switches } from "../frame/Switches";
import { Notice } from "../parts/notice";
import { useTitle } from "../parts/title";

// The token in a link, or the token itself.
export function tokenOf(text: string): string {
  const trimmed = text.trim();
  const at = trimmed.indexOf("token=");
  return at === -1 ? trimmed : trimmed.slice(at + "token=".length).replace(/[&\s].*$/s, "");
}

// Taken once for each load of the page: a token works once, and React may run an effect twice.
export function takeToken(): string {
  const { hash, pathname, search } = window.location;
  const token = hash.includes("token=") ? tokenOf(hash) : "";
  if (hash !== "") window.history.replaceState(window.history.state, "", pathname + search);
  return token;
}

// Where to go afterwards: a page of ours, never another site.
export function safeTarget(from: string | null | undefined): string {
  return from != null && /^\/(?![/\\])/.test(from) && !from.startsWith("/login") ? from : "/";
}

type Problem = "used" | "slow" | "lost" | "bye" | "empty" | "offline" | { says: string };

function problemOf(error: unknown): Problem {
  if (!(error instanceof ApiError)) return { says: String(error) };
  if (error.status === 0) return "offline";
  if (error.status === 429) return "slow";
  if (error.status === 401 || error.status === 400) return "used";
  return { says: error.message };
}

function ProblemNotice({ problem }: { problem: Problem }) {
  const { t } = useTranslation();
  if (typeof problem === "object") {
    return <Notice theme="error" message={t("app.serverSays", { message: problem.says })} />;
  }
  if (problem === "offline") return <Notice theme="error" message={t("app.offline")} />;
  const theme = problem === "bye" ? "success" : problem === "lost" || problem === "empty" ? "warning" : "error";
  return (
    <Notice
      theme={theme}
     
      message={<Trans i18nKey={`login.${problem}`} components={{ c: <code className="word" /> }} />}
    />
  );
}

export function Login() {
  const { t } = useTranslation();
  useTitle(t("login.title"));
  const navigate = useNavigate();
  const location = useLocation();
  const state = location.state as { why?: "lost" | "bye"; from?: string } | null;
  const from = state?.from ?? new URLSearchParams(location.search).get("from");
  const [text, setText] = useState("");
  const [isBusy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem | undefined>(state?.why);
  const started = useRef(false);

  const login = async (token: string) => {
    setBusy(true);
    setProblem(undefined);
    try {
      await api.login(token);
      queryClient.clear();
      await navigate(safeTarget(from), { replace: true });
    } catch (error) {
      setProblem(problemOf(error));
    } finally {
      setBusy(false);
    }
  };

  useEffect(() => {
    // A link opened while this page stands there only changes the fragment.
    const take = () => {
      const token = takeToken();
      if (token !== "") void login(token);
    };
    if (!started.current) {
      started.current = true;
      take();
    }
    window.addEventListener("hashchange", take);
    return () => window.removeEventListener("hashchange", take);
    // eslint-disable-next-line react-hooks/exhaustive-deps -- once: the link is taken when the page opens
  }, []);

  const submit = (event: FormEvent) => {
    event.preventDefault();
    const token = tokenOf(text);
    if (token === "") setProblem("empty");
    else void login(token);
  };

  return (
    <div className="login">
      <header className="login-head">
        <Switches />
      </header>
      <main className="login-box">
        <Brand />
        <h1>{t("login.title")}</h1>
        <p>{t("login.explain")}</p>
        {problem !== undefined && <ProblemNotice problem={problem} />}
        <form onSubmit={submit}>
          <label>
            <span>{t("login.token")}</span>
            <Input
              size="large"
              value={text}
              onChange={(value) => setText(value)}
              placeholder={t("login.placeholder")}
              autocomplete="off"
              spellCheck={false}
              disabled={isBusy}
            />
          </label>
          <Button type="submit" size="large" block disabled={isBusy}>
            {isBusy ? <Loading size="small" text={t("login.wait")} inheritColor /> : t("login.submit")}
          </Button>
        </form>
        <p className="soft">
          <Trans i18nKey="login.hint" components={{ c: <code className="word" /> }} />
        </p>
      </main>
    </div>
  );
}
