import { invalidOption } from "../errors.ts";
import { assertOptions, type NamesOf } from "../input.ts";

/** One step of the work. */
export interface ProgressStep<Name extends string = string> {
  readonly name: Name;
  /** The step's share of the whole, in any unit that all steps share. 1 by default; 0 for one that takes no time. */
  readonly weight?: number;
}

const STEP_NAMES: NamesOf<ProgressStep> = { name: true, weight: true };

/**
 * Checks steps and fills in their weights.
 *
 * @throws EverstreamError `INVALID_OPTION` for what are no steps, two of one name, and a weight that is negative or not finite.
 */
export function weightedSteps(steps: readonly (string | ProgressStep)[]): Required<ProgressStep>[] {
  if (!Array.isArray(steps)) {
    throw invalidOption("`steps` must be an array of names, or of objects with a `name` and a `weight`.");
  }
  const weighted = steps.map(weightedStep);
  if (new Set(weighted.map(({ name }) => name)).size === weighted.length) return weighted;
  throw invalidOption("Each of the `steps` needs a name of its own.");
}

function weightedStep(step: string | ProgressStep): Required<ProgressStep> {
  if (typeof step === "string") return { name: step, weight: 1 };
  assertOptions("steps", step, STEP_NAMES);
  const { name, weight = 1 } = step;
  if (typeof name !== "string") throw invalidOption("Each of the `steps` needs a `name`, which is a string.");
  if (Number.isFinite(weight) && weight >= 0) return { name, weight };
  throw invalidOption(`The weight of step "${name}" must be a finite number of 0 or more, not ${weight}.`);
}
