/** What a log of the host says of the executions of a function. */
interface Executions {
  /** When each began, and when each ended, by the clock of the host; in ms. */
  readonly begun: readonly number[];
  readonly ended: readonly number[];
  /** In which at least one of them ran. */
  readonly seconds: number;
}

const line = /^\[([^\]]+)\] (Executing|Executed) 'Functions\.([^']+)'/;

/** Executions of a function, by the lines of a log. The wait of the host before it asks its queue is not in them. */
export function executions(log: string, name: string): Executions {
  const begun: number[] = [];
  const ended: number[] = [];
  let busyMs = 0;
  let since = 0;
  for (const text of log.split('\n')) {
    const [, time = '', what, of] = line.exec(text) ?? [];
    if (of !== name) continue;
    const at = Date.parse(time);
    if (what === 'Executing') {
      if (begun.length === ended.length) since = at;
      begun.push(at);
    } else {
      ended.push(at);
      if (begun.length === ended.length) busyMs += at - since;
    }
  }
  return { begun, ended, seconds: busyMs / 1000 };
}
