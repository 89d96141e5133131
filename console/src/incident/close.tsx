// The one thing a person tells an incident: that it is dealt with. Asked twice, since it then leaves the first page.
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { Button } from "tdesign-react/es/button";
import { api } from "../api/client";
import type { Incident } from "../api/types";
import { Failed } from "../parts/notices";

export function CloseIncident({ incident }: { incident: Incident }) {
  const { t } = useTranslation();
  const [isAsking, setAsking] = useState(false);
  const caches = useQueryClient();
  const close = useMutation({
    mutationFn: () => api.close(incident.uid),
    onSuccess: async () => {
      setAsking(false);
      await caches.invalidateQueries();
    },
  });
  if (incident.state === "closed") return null;
  return (
    <div className="close-incident">
      {isAsking ? (
        <>
          <span>{t("close.ask")}</span>
          <span className="with-tag">
            <Button loading={close.isPending} onClick={() => close.mutate()}>
              {t("close.yes")}
            </Button>
            <Button variant="outline" disabled={close.isPending} onClick={() => setAsking(false)}>
              {t("close.no")}
            </Button>
          </span>
        </>
      ) : (
        <Button variant="outline" onClick={() => setAsking(true)}>
          {t("close.button")}
        </Button>
      )}
      {close.error !== null && <Failed error={close.error} again={() => close.mutate()} />}
    </div>
  );
}
