// Start of the console: words and colours first, then the session, then the pages.
import "tdesign-react/es/_util/react-19-adapter";
import "tdesign-react/es/style/index.css";
import "./styles.css";
import "./i18n";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./App";

const root = document.getElementById("root");
if (root === null) throw new Error("index.html has no #root");
createRoot(root).render(
  <StrictMode>
    <App />
  </StrictMode>,
);
