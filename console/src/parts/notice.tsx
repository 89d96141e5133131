// tdesign's alert, announced to screen readers.
import type { ComponentProps } from "react";
import { Alert } from "tdesign-react/es/alert";

export function Notice(props: ComponentProps<typeof Alert>) {
  return (
    <div role="alert">
      <Alert {...props} />
    </div>
  );
}
