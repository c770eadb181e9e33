import { build } from "../../scripts/lib/build-steps.js";

/** Global setup of the browser tests: they drive the built application. Quick where it is up to date. */
export async function setup(): Promise<void> {
  if (!(await build({ missingOnly: true }))) throw new Error("the build failed, see above");
}
