import type { DialogueLog } from '../dialogue.ts';

/** An entry of the library's log. What crosses the line has `src`: the client's or the server's. */
interface LogEntry {
  readonly src?: unknown;
  readonly msg?: unknown;
}

/** Hands on what crosses the line. The library masks credentials and literals itself; its other entries are its own. */
export function libraryLog(dialogue: DialogueLog) {
  const hand = ({ src, msg }: LogEntry) => {
    if (typeof msg !== 'string') return;
    if (src === 'c') dialogue.client(msg);
    if (src === 's') dialogue.server(msg);
  };
  return { trace: hand, debug: hand, info: hand, warn: hand, error: hand };
}
