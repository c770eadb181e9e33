/**
 * A schema of any library that follows Standard Schema, version 1: zod, valibot, arktype and others. Only what is used
 * here is described, so that none of them has to be installed.
 *
 * Source: https://standardschema.dev, the interface `StandardSchemaV1`.
 */
export interface StandardSchema<Input = unknown, Output = Input> {
  readonly "~standard": StandardProps<Input, Output>;
}

/** What a schema offers under `~standard`. */
export interface StandardProps<Input = unknown, Output = Input> {
  readonly version: 1;
  readonly vendor: string;
  readonly validate: (value: unknown) => StandardResult<Output> | Promise<StandardResult<Output>>;
  /** For types alone; nothing is there at run time. */
  readonly types?: { readonly input: Input; readonly output: Output } | undefined;
}

/** What a schema says of a value: what it makes of it, or why it refuses it. */
export type StandardResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly StandardIssue[] };

/** One reason why a schema refuses a value. */
export interface StandardIssue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/** What a schema takes. */
export type InputOf<S extends StandardSchema> = NonNullable<S["~standard"]["types"]>["input"];
/** What a schema makes of it. */
export type OutputOf<S extends StandardSchema> = NonNullable<S["~standard"]["types"]>["output"];

/** Whether something follows Standard Schema 1. Some libraries' schemas are functions. */
export function isStandardSchema(value: unknown): value is StandardSchema {
  if ((typeof value !== "object" && typeof value !== "function") || value === null) return false;
  const props = (value as Partial<StandardSchema>)["~standard"];
  return props?.version === 1 && typeof props.validate === "function";
}

/** How many of a value's faults a message tells. */
const MAX_ISSUES = 3;

/** The faults of a value in a line: `items[0].name: expected a string; …`. */
export function describeIssues(issues: readonly StandardIssue[]): string {
  const told = issues.slice(0, MAX_ISSUES).map(({ message, path = [] }) => {
    const place = placeOf(path);
    return place === "" ? message : `${place}: ${message}`;
  });
  if (issues.length > MAX_ISSUES) told.push(`and ${issues.length - MAX_ISSUES} more`);
  return told.join("; ");
}

function placeOf(path: NonNullable<StandardIssue["path"]>): string {
  let place = "";
  for (const segment of path) {
    const key = typeof segment === "object" ? segment.key : segment;
    if (typeof key === "number") place += `[${key}]`;
    else place += place === "" ? String(key) : `.${String(key)}`;
  }
  return place;
}
