// What stands where content would: nothing there, not yet there, or broken.
import type { ReactElement, ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { Button } from "tdesign-react/es/button";
import { Card } from "tdesign-react/es/card";
import { Empty } from "tdesign-react/es/empty";
import { Skeleton } from "tdesign-react/es/skeleton";
import { ApiError } from "../api/client";
import { Notice } from "./notice";

export function Nothing({ icon, title, hint, action }: { icon: ReactElement; title: string; hint: string; action?: ReactElement }) {
  return (
    <div className="nothing">
      <Empty
        image={<span className="nothing-icon">{icon}</span>}
        title={<span>{title}</span>}
        description={hint}
        action={action}
      />
    </div>
  );
}

export function Waiting({ rows = 4 }: { rows?: number }) {
  return (
    <div className="waiting" aria-busy="true">
      <Skeleton animation="gradient" rowCol={Array.from({ length: rows }, () => ({ type: "text" as const }))} />
    </div>
  );
}

export function Failed({ error, again }: { error: Error; again: () => void }) {
  const { t } = useTranslation();
  const isSilent = error instanceof ApiError && error.status === 0;
  return (
    <Notice
      theme="error"
     
      title={t("app.loadFailed")}
      message={isSilent ? t("app.offline") : t("app.serverSays", { message: error.message })}
      operation={
        <Button size="small" variant="outline" onClick={again}>
          {t("app.retry")}
        </Button>
      }
    />
  );
}

// A card of the page with its heading; `aside` stands right of it.
export function Section({ title, aside, children, className = "" }: { title: string; aside?: ReactNode; children: ReactNode; className?: string }) {
  return (
    <Card className={`section ${className}`} title={<h2>{title}</h2>} actions={aside}>
      {children}
    </Card>
  );
}
