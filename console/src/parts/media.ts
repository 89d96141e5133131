// Which shape of page fits.
import { useSyncExternalStore } from "react";

// Below this a table cannot hold its columns; the same rows stand as a list.
const wide = window.matchMedia("(min-width: 860px)");

function subscribe(listener: () => void): () => void {
  wide.addEventListener("change", listener);
  return () => wide.removeEventListener("change", listener);
}

export const useWide = (): boolean => useSyncExternalStore(subscribe, () => wide.matches);
