import { cpus } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';

/** How long is looked, in ms. */
const lookMs = 1_500;
/** Others may have this part of the processors before figures of time mean little. */
export const tooBusy = 0.15;

function times(): { readonly busy: number; readonly all: number } {
  let busy = 0;
  let all = 0;
  for (const { times: each } of cpus()) {
    const sum = each.user + each.nice + each.sys + each.irq + each.idle;
    all += sum;
    busy += sum - each.idle;
  }
  return { busy, all };
}

/** The part of the processors (0 to 1) that others use, while this program does nothing. */
export async function usedByOthers(): Promise<number> {
  const before = times();
  await delay(lookMs);
  const after = times();
  return (after.busy - before.busy) / Math.max(1, after.all - before.all);
}
