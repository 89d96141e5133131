// What the pages ask for, under which name it is kept, and how much.
import { infiniteQueryOptions, QueryClient, queryOptions } from "@tanstack/react-query";
import { type AboutFilter, ApiError, api, type StateFilter } from "./client";
import type { Severity } from "./types";

// One page of a list; the server allows 200.
const PAGE = 50;

export const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      // Live events keep the caches fresh (live.ts); a return to the tab asks again all the same.
      staleTime: 10_000,
      retry: (count, error) => count < 2 && !(error instanceof ApiError && error.status >= 400),
      throwOnError: false,
    },
  },
});

export const keys = {
  overview: ["overview"] as const,
  incidents: ["incidents"] as const,
  incident: (uid: string) => ["incident", uid] as const,
  detections: ["detections"] as const,
};

export const overviewQuery = queryOptions({
  queryKey: keys.overview,
  queryFn: ({ signal }) => api.overview(signal),
  // Costs and the hour of the chart move even when nothing happens.
  refetchInterval: 60_000,
});

// Which incidents a list holds.
export interface Wanted {
  state: StateFilter;
  about: AboutFilter;
  q: string;
}

export const incidentsQuery = ({ state, about, q }: Wanted) =>
  infiniteQueryOptions({
    queryKey: [...keys.incidents, state, about, q],
    queryFn: ({ signal, pageParam }) =>
      api.incidents({ state, about, q: q === "" ? undefined : q, before: pageParam, limit: PAGE }, signal),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (last) => last.next ?? undefined,
  });

export const incidentQuery = (uid: string) =>
  queryOptions({ queryKey: keys.incident(uid), queryFn: ({ signal }) => api.incident(uid, signal) });

export const detectionsQuery = (minimum: Severity) =>
  infiniteQueryOptions({
    queryKey: [...keys.detections, minimum],
    queryFn: ({ signal, pageParam }) =>
      api.detections({ min_severity: minimum, before: pageParam, limit: PAGE }, signal),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (last) => last.next ?? undefined,
  });
