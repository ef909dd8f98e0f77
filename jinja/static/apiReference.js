// The API reference: Swagger UI shows the operations; a list of them beside it is searched here.
// Requests to try carry a new token of the signed-in user. Swagger UI sets styles through the DOM only, so the
// content security policy of the other pages holds here as well.
/* global SwaggerUIBundle */
import { currentUserId, fetchToken } from "./api.js";
import { curlCommand } from "./curlCommand.js";
import { el } from "./notifications/dom.js";
import { formatCount } from "./plurals.js";

const links = [...document.querySelectorAll("[data-api-link]")];
const groups = [...document.querySelectorAll("[data-api-group]")];
const container = document.getElementById("api-reference");
let swagger = null; // until it is started

// The search does not wait for it.
const loadBundle = () =>
  new Promise((resolve, reject) => {
    document.head.append(el("script", { src: "/static/vendor/swagger-ui-bundle.js", on: { load: resolve, error: reject } }));
  });

// In a cascade layer, so that api_reference.css wins over it whatever its selectors.
async function loadStyles() {
  const sheet = new CSSStyleSheet();
  const response = await fetch("/static/vendor/swagger-ui.css");
  if (!response.ok) throw new Error(`The styles of Swagger UI were answered with ${response.status}`);
  sheet.replaceSync(`@layer swagger { ${await response.text()} }`);
  document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
}

async function addToken(request) {
  const isOwnApi = new URL(request.url, location.href).origin === location.origin;
  if (request.loadSpec || !isOwnApi || !currentUserId || request.headers.Authorization || request.headers["X-Api-Key"]) return request;
  request.headers.Authorization = `Bearer ${await fetchToken()}`;
  return request;
}

// Components of Swagger UI that are replaced: its page layout, whose landmarks and headings would repeat ours; links
// within buttons; and the buttons of each operation that the one above all operations makes superfluous.
function referencePlugin({ React }) {
  const h = React.createElement;
  const Layout = ({ getComponent, specSelectors }) => {
    if (!specSelectors.specStr() && specSelectors.loadingStatus() !== "failed") return h("p", { className: "muted" }, "Loading…");
    const [SvgAssets, Errors, AuthorizeButton, Operations] = ["SvgAssets", "errors", "AuthorizeBtnContainer", "operations"].map((name) => getComponent(name, name !== "SvgAssets"));
    return h("div", { className: "swagger-ui" }, h(SvgAssets), h(Errors), h(AuthorizeButton), h(Operations));
  };
  const CurlExample = ({ fn, operation, pathMethod: [path, method] }) => {
    const sampleOf = (schema) => fn.getSampleSchema(schema, "application/json", {});
    return h("div", { className: "curl-example" }, h("h4", {}, "With curl"),
      h("pre", { tabIndex: 0 }, curlCommand(operation.toJS(), path, method, location.origin, sampleOf)));
  };
  return {
    components: { ReferenceLayout: Layout, DeepLink: ({ text }) => h("span", {}, text), authorizeOperationBtn: () => null, CopyToClipboardBtn: () => null },
    wrapComponents: { parameters: (Parameters) => (props) => h(React.Fragment, {}, h(CurlExample, props), h(Parameters, props)) },
  };
}

// Gives names to the fields that Swagger UI leaves without, and takes away landmarks that have none.
function repairAccessibility(root) {
  for (const table of root.querySelectorAll("table[role=region]")) table.removeAttribute("role");
  for (const field of root.querySelectorAll("[data-param-name] :is(input, select, textarea):not([aria-label])")) {
    field.setAttribute("aria-label", field.closest("[data-param-name]").dataset.paramName);
  }
  for (const field of root.querySelectorAll("textarea.body-param__text:not([aria-label])")) field.setAttribute("aria-label", "Request body");
}

function showOperation(event) {
  if (event.metaKey || event.ctrlKey || event.shiftKey) return;
  const { tag, operation } = event.currentTarget.dataset;
  const element = document.getElementById(`operations-${tag.replaceAll(" ", "_")}-${operation}`);
  if (!swagger || !element) return; // not loaded yet: the address leads there
  event.preventDefault();
  swagger.layoutActions.show(["operations-tag", tag], true);
  swagger.layoutActions.show(["operations", tag, operation], true);
  history.replaceState(null, "", event.currentTarget.hash);
  requestAnimationFrame(() => {
    element.scrollIntoView({ block: "start" });
    element.querySelector("button").focus({ preventScroll: true });
  });
}

// Every word of the query is in the method, the path or the summary.
function search(query) {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  for (const link of links) link.hidden = !words.every((word) => link.textContent.toLowerCase().includes(word));
  for (const group of groups) group.hidden = !group.querySelector("[data-api-link]:not([hidden])");
  const shownCount = links.filter((link) => !link.hidden).length;
  document.getElementById("api-search-result").textContent = words.length ? `${formatCount(shownCount, "endpoint")} of ${links.length}` : "";
}

async function startSwagger() {
  new MutationObserver(() => repairAccessibility(container)).observe(container, { childList: true, subtree: true });
  await Promise.all([loadBundle(), loadStyles()]);
  swagger = SwaggerUIBundle({
    url: "/openapi.json",
    domNode: container,
    presets: [SwaggerUIBundle.presets.apis],
    plugins: [referencePlugin],
    layout: "ReferenceLayout",
    deepLinking: true,
    docExpansion: "list",
    defaultModelsExpandDepth: -1,
    displayRequestDuration: true,
    syntaxHighlight: false,
    validatorUrl: null,
    requestInterceptor: addToken,
  });
}

// Without the bundle or its styles.
function showLoadingFailed() {
  container.replaceChildren(el("p.note", { role: "alert" },
    "Requests and responses could not be loaded. Load the page again, or read ", el("a", { href: "/openapi.json" }, "openapi.json"), "."));
}

for (const link of links) link.querySelector("a").addEventListener("click", showOperation);
document.getElementById("api-search").addEventListener("input", ({ target }) => search(target.value));
startSwagger().catch(showLoadingFailed);
