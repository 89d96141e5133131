// The frame around every page: navigation left (in a drawer where there is no room), and above it whether the page
// is live, colours, language, and the way out. A new page is one line in PAGES.
import { type ReactElement, useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import { NavLink, Outlet, useLocation } from "react-router";
import BugIcon from "tdesign-icons-react/esm/components/bug";
import DashboardIcon from "tdesign-icons-react/esm/components/dashboard";
import LogoutIcon from "tdesign-icons-react/esm/components/logout";
import RefreshIcon from "tdesign-icons-react/esm/components/refresh";
import ViewListIcon from "tdesign-icons-react/esm/components/view-list";
import WifiIcon from "tdesign-icons-react/esm/components/wifi";
import { Button } from "tdesign-react/es/button";
import { Drawer } from "tdesign-react/es/drawer";
import { Layout } from "tdesign-react/es/layout";
import { Menu } from "tdesign-react/es/menu";
import { Tag } from "tdesign-react/es/tag";
import { type Live, useLive } from "../api/live";
import { Brand } from "./Brand";
import { Switches } from "./Switches";

const PAGES: { path: string; name: "overview" | "incidents"; icon: ReactElement }[] = [
  { path: "/", name: "overview", icon: <DashboardIcon /> },
  { path: "/incidents", name: "incidents", icon: <BugIcon /> },
];

function Navigation({ onGo }: { onGo?: () => void }) {
  const { t } = useTranslation();
  const { pathname } = useLocation();
  const here = PAGES.findLast((page) => pathname.startsWith(page.path));
  return (
    <nav aria-label={t("app.navigation")}>
      <Menu value={here?.path} className="menu">
        {PAGES.map((page) => (
          <Menu.MenuItem key={page.path} value={page.path} icon={page.icon}>
            <NavLink to={page.path} end={page.path === "/"} className="menu-link" onClick={onGo}>
              {t(`app.${page.name}`)}
            </NavLink>
          </Menu.MenuItem>
        ))}
      </Menu>
    </nav>
  );
}

function LiveTag({ live }: { live: Live }) {
  const { t } = useTranslation();
  const state = useLive(live);
  const isLive = state === "live";
  return (
    <span role="status">
      <Tag
        className="tag live"
        variant="light-outline"
        theme={isLive ? "success" : state === "connecting" ? "default" : "warning"}
        icon={isLive ? <WifiIcon /> : <RefreshIcon />}
        title={isLive ? t("app.liveHint") : t("app.reconnectingHint")}
      >
        {t(`app.${state}`)}
      </Tag>
    </span>
  );
}

export function Frame({ live, logout }: { live: Live; logout: () => void }) {
  const { t } = useTranslation();
  const { pathname } = useLocation();
  const [isOpen, setOpen] = useState(false);
  useEffect(() => {
    live.start();
    return () => live.stop();
  }, [live]);
  useEffect(() => {
    window.scrollTo(0, 0);
  }, [pathname]);
  return (
    <Layout className="frame">
      <a className="skip" href="#content">
        {t("app.skip")}
      </a>
      <Layout.Aside className="aside" width="216px">
        <Brand />
        <Navigation />
      </Layout.Aside>
      <Layout className="main">
        <Layout.Header className="header" height="56px">
          <Button
            className="only-narrow"
            variant="text"
            shape="square"
            icon={<ViewListIcon />}
            aria-label={t("app.menu")}
            aria-expanded={isOpen}
            onClick={() => setOpen(true)}
          />
          <span className="only-narrow brand-slot">
            <Brand />
          </span>
          <span className="spacer" />
          <LiveTag live={live} />
          <Switches />
          <Button
            variant="text"
            shape="square"
            icon={<LogoutIcon />}
            aria-label={t("app.logout")}
            title={t("app.logout")}
            onClick={logout}
          />
        </Layout.Header>
        <main id="content" className="content" tabIndex={-1}>
          <Outlet />
        </main>
      </Layout>
      <Drawer
        visible={isOpen}
        placement="left"
        size="260px"
        header={<Brand />}
        footer={false}
        onClose={() => setOpen(false)}
        destroyOnClose
      >
        <Navigation onGo={() => setOpen(false)} />
      </Drawer>
    </Layout>
  );
}
