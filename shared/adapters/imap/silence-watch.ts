/** Shortest and longest pause between two looks at whether octets still come, in ms. */
const MIN_PAUSE = 10;
const MAX_PAUSE = 1_000;

/** How silence is noticed, and what it leads to. */
export interface SilenceOptions {
  /** A number that grows while the server does something. */
  progress(): number;
  /** False while it is not the server that is waited for. Default: always true. */
  readonly watching?: () => boolean;
  /** Called when there was no progress for the limit. */
  silent(): void;
}

/** Watches for a server that is silent for `limitMs`; 0: there is no limit. Answers how to stop. */
export function watchForSilence(limitMs: number, { progress, watching, silent }: SilenceOptions): () => void {
  if (limitMs === 0) return () => undefined;
  // Looks are counted, and not time: while this process itself is held up, the server is not silent.
  const pause = Math.min(Math.max(limitMs / 10, MIN_PAUSE), MAX_PAUSE);
  let before = progress();
  let quiet = 0;
  const timer = setInterval(() => {
    const now = progress();
    quiet = now === before && (watching?.() ?? true) ? quiet + 1 : 0;
    before = now;
    if (quiet * pause >= limitMs) silent();
  }, pause);
  return () => clearInterval(timer);
}
