import type { DialogueLog } from '../dialogue.ts';

/**
 * Hands on the commands and replies that nodemailer logs as transactions; mail itself is not among them, and sign-ins
 * are masked. Its other entries are its own.
 */
export function libraryLog(dialogue: DialogueLog) {
  const hand = (entry: { readonly tnx?: unknown }, line: unknown) => {
    if (typeof line !== 'string') return;
    for (const each of line.split(/\r?\n/)) {
      if (entry.tnx === 'client') dialogue.client(each);
      if (entry.tnx === 'server') dialogue.server(each);
    }
  };
  const pass = () => undefined;
  return { trace: pass, debug: hand, info: pass, warn: pass, error: pass, fatal: pass };
}
