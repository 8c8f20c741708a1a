import { z } from 'zod';
import type { View } from '../../platform/view.ts';

/** In the order in which they are tried. */
const stepNames = ['resolve', 'connect', 'tls', 'signIn', 'permission', 'folder', 'subscription'] as const;
export type StepName = (typeof stepNames)[number];

const stepStatusSchema = z.enum(['ok', 'failed', 'unknown']).meta({
  description:
    '`unknown`: it was not tried, because an earlier step failed, or it cannot be known without sending or changing.',
});
export type StepStatus = z.output<typeof stepStatusSchema>;

/** One step of a verification, as callers see it. */
export const stepSchema = z.object({
  step: z.enum(stepNames),
  status: stepStatusSchema,
  ms: z.number().meta({ description: 'Milliseconds it took.' }),
  code: z
    .string()
    .optional()
    .meta({ description: "The server's or the system's code, such as ECONNREFUSED or AADSTS7000222." }),
  detail: z.string().optional().meta({ description: 'What was found, free of credentials.' }),
  hint: z.string().optional().meta({ description: 'What a person can do about it.' }),
});
export type Step = View<typeof stepSchema>;

/** What a step found; `ok` unless it says otherwise. */
export interface Finding {
  readonly status?: StepStatus;
  readonly code?: string | undefined;
  readonly detail?: string | undefined;
  readonly hint?: string | undefined;
}

/** Thrown by a step that failed and makes those after it pointless. */
export class StepFailure extends Error {
  override readonly name = 'StepFailure';
  readonly finding: Omit<Finding, 'status'>;

  constructor(finding: Omit<Finding, 'status'>) {
    super(finding.hint ?? finding.code ?? 'failed');
    this.finding = finding;
  }
}

/** A step that is still to be tried. */
export interface PlannedStep {
  readonly step: StepName;
  /** Throws StepFailure, or anything that `explain` makes one of. */
  run(): Promise<Finding>;
}

/** Tries the steps in their order; what comes after one that threw is added as not tried. */
export async function tryInOrder(
  plan: readonly PlannedStep[],
  explain: (error: unknown) => StepFailure,
): Promise<readonly Step[]> {
  const steps: Step[] = [];
  let stopped: StepName | undefined;
  for (const { step, run } of plan) {
    if (stopped !== undefined) {
      steps.push({ step, status: 'unknown', ms: 0, hint: `Not tried, because ${stopped} failed.` });
      continue;
    }
    const started = performance.now();
    const add = (finding: Finding) => steps.push(stepOf(step, finding, Math.round(performance.now() - started)));
    try {
      add(await run());
    } catch (error) {
      stopped = step;
      add({ ...explain(error).finding, status: 'failed' });
    }
  }
  return steps;
}

function stepOf(step: StepName, { status = 'ok', code, detail, hint }: Finding, ms: number): Step {
  return {
    step,
    status,
    ms,
    ...(code === undefined ? {} : { code }),
    ...(detail === undefined ? {} : { detail }),
    ...(hint === undefined ? {} : { hint }),
  };
}
