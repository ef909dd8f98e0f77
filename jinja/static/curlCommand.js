// The curl command of an operation of the OpenAPI document, with its references resolved.
// Ids, tokens and keys are shell variables; the body is an example of its schema.

const shellQuote = (text) => `'${text.replaceAll("'", "'\\''")}'`;
const shellVariable = (name) => `$${name.replace(/([a-z])([A-Z])/g, "$1_$2").toUpperCase()}`;
const HEADERS_BY_SCHEME = { token: '-H "Authorization: Bearer $TOKEN"', serviceKey: '-H "X-Api-Key: $SERVICE_KEY"' };

function addressOf(operation, path, origin) {
  const required = (operation.parameters ?? []).filter((parameter) => parameter.in === "query" && parameter.required);
  const query = required.map(({ name }) => `${name}=${shellVariable(name)}`).join("&");
  return `"${origin}${path.replace(/\{(\w+)\}/g, (_, name) => shellVariable(name))}${query && `?${query}`}"`;
}

// `sampleOf(schema)` returns an example as JSON text.
export function curlCommand(operation, path, method, origin, sampleOf) {
  const parts = [`curl${method === "get" ? "" : ` -X ${method.toUpperCase()}`} ${addressOf(operation, path, origin)}`];
  const scheme = Object.keys(operation.security?.[0] ?? {})[0]; // an empty first choice: no token is needed
  if (scheme) parts.push(HEADERS_BY_SCHEME[scheme]);
  const schema = operation.requestBody?.content?.["application/json"]?.schema;
  if (schema) parts.push("-H 'Content-Type: application/json'", `-d ${shellQuote(sampleOf(schema))}`);
  return parts.join(" \\\n  ");
}
