// The one way to the server: typed calls, the header that POST needs, and what a 401 means.
import createClient from "openapi-fetch";
import { readClock } from "./clock";
import type { paths } from "./schema";

// An answer that is not what was asked for. `status` 0: no answer at all.
export class ApiError extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

let sessionLost = () => {};
// Called when the server says that there is no session (any more).
export function onSessionLost(handler: () => void): void {
  sessionLost = handler;
}

const client = createClient<paths>({ baseUrl: window.location.origin });
client.use({
  onResponse({ response, schemaPath }) {
    readClock(response.headers.get("date"));
    if (response.status === 401 && schemaPath !== "/api/login") sessionLost();
  },
});

interface Answer<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

function messageOf(error: unknown, response: Response): string {
  if (typeof error === "string" && error.trim() !== "") return error.slice(0, 300);
  if (typeof error === "object" && error !== null && "message" in error && typeof error.message === "string") {
    return error.message.slice(0, 300);
  }
  return `${response.status} ${response.statusText}`.trim();
}

async function answer<T>(call: Promise<Answer<T>>): Promise<T> {
  let got: Answer<T>;
  try {
    got = await call;
  } catch (cause) {
    if (cause instanceof DOMException && cause.name === "AbortError") throw cause;
    throw new ApiError(0, cause instanceof Error ? cause.message : String(cause));
  }
  if (!got.response.ok) throw new ApiError(got.response.status, messageOf(got.error, got.response));
  return got.data as T;
}

type Query<Path extends keyof paths> = paths[Path] extends { get: { parameters: { query?: infer Q } } }
  ? NonNullable<Q>
  : never;
export type IncidentQuery = Query<"/api/incidents">;
export type DetectionQuery = Query<"/api/detections">;
export type StateFilter = NonNullable<IncidentQuery["state"]>;
export type AboutFilter = NonNullable<IncidentQuery["about"]>;

// Another site cannot send this header without asking the server first, and is then refused.
const OURS = { header: { "x-minesweep": "1" } };

export const api = {
  login: (token: string) => answer(client.POST("/api/login", { params: OURS, body: { token } })),
  logout: () => answer(client.POST("/api/logout", { params: OURS })),
  session: () => answer(client.GET("/api/session")),
  overview: (signal: AbortSignal) => answer(client.GET("/api/overview", { signal })),
  incidents: (query: IncidentQuery, signal: AbortSignal) =>
    answer(client.GET("/api/incidents", { params: { query }, signal })),
  incident: (uid: string, signal: AbortSignal) =>
    answer(client.GET("/api/incidents/{uid}", { params: { path: { uid } }, signal })),
  close: (uid: string) =>
    answer(client.POST("/api/incidents/{uid}/close", { params: { ...OURS, path: { uid } } })),
  detections: (query: DetectionQuery, signal: AbortSignal) =>
    answer(client.GET("/api/detections", { params: { query }, signal })),
};
