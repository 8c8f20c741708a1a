/** Calls `tick` again and again until what it answers is called. */
export type Ticker = (tick: () => void) => () => void;

const everyMs = 1_000;

/** Every second, without keeping the process alive. */
export const everySecond: Ticker = (tick) => {
  const timer = setInterval(tick, everyMs);
  timer.unref();
  return () => clearInterval(timer);
};
