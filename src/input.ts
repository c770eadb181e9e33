// Looks at what callers give, who may have no types.
import { invalidOption } from "./errors.ts";

/** The names that an object of options may have: all of them, or it does not compile. */
export type NamesOf<Options> = Readonly<Record<keyof Options, true>>;

/** @throws EverstreamError `INVALID_OPTION`. */
export function assertObject(name: string, value: unknown): asserts value is object {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return;
  throw invalidOption(`\`${name}\` must be an object, but is ${kindOf(value)}.`);
}

/**
 * Checks an object of options: one that was misspelt would be one that was left out, without a word.
 *
 * @throws EverstreamError `INVALID_OPTION`.
 */
export function assertOptions(name: string, value: unknown, names: Readonly<Record<string, true>>): void {
  assertObject(name, value);
  const unknown = unknownName(value, names);
  if (unknown === undefined) return;
  throw invalidOption(`There is no \`${unknown}\` in \`${name}\`, only ${Object.keys(names).join(", ")}.`);
}

/** The first name that is none of these. */
export function unknownName(value: object, names: Readonly<Record<string, true>>): string | undefined {
  for (const name in value) {
    // What others have put on `Object.prototype` was not given by anybody.
    if (names[name] !== true && Object.hasOwn(value, name)) return name;
  }
  return undefined;
}

/** @throws EverstreamError `INVALID_OPTION`. */
export function assertFunction(name: string, value: unknown): void {
  if (typeof value === "function") return;
  throw invalidOption(`\`${name}\` must be a function, but is ${kindOf(value)}.`);
}

/** @throws EverstreamError `INVALID_OPTION` for what is there and can't be called. */
export function assertCallback(name: string, value: unknown): void {
  if (value !== undefined) assertFunction(name, value);
}

/** @throws EverstreamError `INVALID_OPTION`. */
export function assertSignal(signal: unknown): void {
  if (signal === undefined || hasMethod(signal, "addEventListener")) return;
  throw invalidOption("`signal` must be an AbortSignal: an AbortController's `signal`.");
}

/** Of another server's kind, as Node's own, a request can't be read. @throws EverstreamError `INVALID_OPTION`. */
export function assertRequest(request: unknown): void {
  const { url, headers } = Object(request) as Partial<Request>;
  if (typeof url === "string" && hasMethod(headers, "get")) return;
  throw invalidOption(
    "`request` must be a `Request` of Fetch. Under Hono use `everstream/hono`, or give `c.req.raw`; for node:http, Express and Fastify there is `everstream/node`.",
  );
}

/** Whether a value has a method of this name. */
export function hasMethod(value: unknown, name: PropertyKey): boolean {
  return typeof value === "object" && value !== null && typeof Reflect.get(value, name) === "function";
}

function kindOf(value: unknown): string {
  if (value === null) return "null";
  return Array.isArray(value) ? "an array" : typeof value;
}
