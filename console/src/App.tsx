// Which page stands at which address, and who may see it: everything but the login page needs a session. The server
// refuses data without one; this only leads to the login page instead of showing empty frames.
import { QueryClientProvider } from "@tanstack/react-query";
import { lazy, Suspense } from "react";
import { useTranslation } from "react-i18next";
import { createBrowserRouter, isRouteErrorResponse, redirect, useRouteError } from "react-router";
import { RouterProvider } from "react-router/dom";
import { Button } from "tdesign-react/es/button";
import { ConfigProvider } from "tdesign-react/es/config-provider";
import enUS from "tdesign-react/es/locale/en_US";
import zhCN from "tdesign-react/es/locale/zh_CN";
import { ApiError, api, onSessionLost } from "./api/client";
import { Live } from "./api/live";
import { queryClient } from "./api/queries";
import { Frame } from "./frame/Frame";
import { Login } from "./pages/Login";
import { NotFound } from "./pages/NotFound";
import { Overview } from "./pages/Overview";
import { Waiting } from "./parts/notices";
import { useLang } from "./settings";
import { Notice } from "./parts/notice";

const Incidents = lazy(() => import("./pages/Incidents"));
const IncidentPage = lazy(() => import("./pages/Incident"));

const live = new Live(queryClient);

async function needSession({ request }: { request: Request }) {
  const url = new URL(request.url);
  try {
    await api.session();
    return null;
  } catch (error) {
    // Only a refusal leads to the login page; a server that is away is told as such by the page itself.
    if (!(error instanceof ApiError) || error.status !== 401) return null;
    // eslint-disable-next-line @typescript-eslint/only-throw-error -- how the router is told to go elsewhere
    throw redirect(`/login?from=${encodeURIComponent(url.pathname + url.search)}`);
  }
}

function Crashed() {
  const { t } = useTranslation();
  const error = useRouteError();
  const said = isRouteErrorResponse(error) ? error.statusText : error instanceof Error ? error.message : String(error);
  return (
    <main className="content">
      <Notice
        theme="error"
       
        title={t("app.crashed")}
        message={
          <>
            <p>{t("app.crashedHint")}</p>
            <code className="word">{said}</code>
          </>
        }
        operation={<Button onClick={() => window.location.reload()}>{t("app.reload")}</Button>}
      />
    </main>
  );
}

async function logout() {
  try {
    await api.logout();
  } finally {
    queryClient.clear();
    await router.navigate("/login", { state: { why: "bye" }, replace: true });
  }
}

const lazily = (page: React.ReactElement) => <Suspense fallback={<Waiting rows={8} />}>{page}</Suspense>;

const router = createBrowserRouter([
  { path: "/login", element: <Login />, errorElement: <Crashed /> },
  {
    element: <Frame live={live} logout={() => void logout()} />,
    loader: needSession,
    // The session is asked for once; later a 401 of any call leads to the login page.
    shouldRevalidate: () => false,
    errorElement: <Crashed />,
    hydrateFallbackElement: <div />,
    children: [
      { path: "/", element: <Overview /> },
      { path: "/incidents", element: lazily(<Incidents />) },
      { path: "/incidents/:uid", element: lazily(<IncidentPage />) },
      { path: "*", element: <NotFound /> },
    ],
  },
]);

onSessionLost(() => {
  const { pathname, search } = router.state.location;
  // Before the first page the loader leads on by itself.
  if (!router.state.initialized || pathname === "/login") return;
  queryClient.clear();
  void router.navigate("/login", { state: { why: "lost", from: pathname + search }, replace: true });
});

export function App() {
  const lang = useLang();
  return (
    <ConfigProvider globalConfig={lang === "zh" ? zhCN : enUS}>
      <QueryClientProvider client={queryClient}>
        <RouterProvider router={router} />
      </QueryClientProvider>
    </ConfigProvider>
  );
}
