import { computed, signal } from '@preact/signals';

/** Between two tries to reach the service again, in ms. */
const tryAgainMs = 3_000;

/** Longest wait for the answer to a try, in ms. */
const tryMs = 10_000;

const lostAt = signal<Date | undefined>(undefined);
const recoveries = signal(0);

/** Since when the service cannot be reached; undefined: it can. */
export const unreachableSince = computed(() => lostAt.value);

/** Another number each time that the service is there again: what is shown is then loaded anew. */
export const recovered = computed(() => recoveries.value);

let timer: ReturnType<typeof setTimeout> | undefined;

/** A call had no answer, or one of the host alone: the service is asked until it answers. */
export function noteLost(): void {
  lostAt.value ??= new Date();
  timer ??= setTimeout(tryAgain, tryAgainMs);
}

/** An answer came. The service's own have a reason (RFC 9457): without one it is of what stands in front. */
export function noteStatus(status: number, contentType: string | null): void {
  if (status >= 500 && !contentType?.includes('json')) noteLost();
  else noteReached();
}

function noteReached(): void {
  if (lostAt.value === undefined) return;
  clearTimeout(timer);
  timer = undefined;
  lostAt.value = undefined;
  recoveries.value += 1;
}

async function tryAgain(): Promise<void> {
  timer = undefined;
  if (lostAt.value === undefined) return;
  try {
    const { status } = await fetch('/api/openapi.json', { method: 'GET', signal: AbortSignal.timeout(tryMs) });
    if (status < 500) return noteReached();
  } catch {
    // Still away.
  }
  timer ??= setTimeout(tryAgain, tryAgainMs);
}

addEventListener('offline', noteLost);
addEventListener('online', () => {
  clearTimeout(timer);
  void tryAgain();
});
