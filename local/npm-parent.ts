/** How soon the end of npm is noticed. */
const lookMs = 250;

/**
 * Calls back once npm's shell is gone. SIGTERM to `npm` ends npm and the shell it runs scripts in, but that shell does
 * not pass the signal on. Started without npm this does nothing: a terminal may close, and the process go on.
 */
export function onNpmGone(callback: () => void): void {
  if (process.env.npm_lifecycle_event === undefined) return;
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    callback();
  }, lookMs);
  timer.unref();
}
