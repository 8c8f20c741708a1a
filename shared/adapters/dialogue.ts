import { AsyncLocalStorage } from 'node:async_hooks';
import { log } from '../platform/log.ts';
import type { Scrub } from './redaction.ts';

/** The protocol dialogue of an account with `debug`, in the log: without credentials, tokens and contents of mails. */
export interface DialogueLog {
  client(line: string): void;
  server(line: string): void;
  /** From now on lines go to the log of whoever calls: a connection outlives the invocation that opened it. */
  attach(): void;
}

/** Begins the dialogue of one connection. `scrub` takes out its credentials, in all their forms. */
export type OpenDialogue = (scrub?: Scrub) => DialogueLog;

/** What adapters are given; absent where the account does not ask for it. */
export interface DialogueContext {
  readonly dialogue?: OpenDialogue | undefined;
}

/** What an account's adapters are given: a dialogue in the log while the account has `debug`. */
export function dialogueOf(
  { name, debug }: { readonly name: string; readonly debug: boolean },
  protocol: string,
): DialogueContext {
  return debug ? { dialogue: (scrub) => dialogueLog({ account: name, protocol }, scrub) } : {};
}

/** Longest line kept, in characters; what a server says beyond it is seldom worth reading. */
const maxLine = 500;
/** What one connection may write at most: a server that floods must not fill the log. */
const maxLines = 5_000;
const maxCharacters = 1_000_000;

/** Writes lines as `debug.dialogue` events, as many as a connection may; the last one says that there would be more. */
export function dialogueLog(
  about: { readonly account: string; readonly protocol: string },
  scrub: Scrub = (text) => text,
): DialogueLog {
  let here = AsyncLocalStorage.snapshot();
  let lines = 0;
  let characters = 0;
  const write = (by: 'client' | 'server', line: string) => {
    // Looked at before anything is made of the line: the flood costs nothing then.
    if (lines > maxLines) return;
    lines += 1;
    if (lines > maxLines || characters > maxCharacters) {
      lines = maxLines + 1;
      here(() => log.info('debug.dialogueCut', { ...about, maxLines, maxCharacters }));
      return;
    }
    const safe = withoutContents(withoutTokens(scrub(line)));
    characters += safe.length;
    here(() => log.info('debug.dialogue', { ...about, by, line: safe }));
  };
  return {
    client: (line) => write('client', line),
    server: (line) => write('server', line),
    attach: () => {
      here = AsyncLocalStorage.snapshot();
    },
  };
}

/** Access tokens, and any run of characters long enough to be a key, a token or an encoded text. */
function withoutTokens(line: string): string {
  return line
    .slice(0, 8 * maxLine)
    .replace(/\bBearer\s+\S+/gi, 'Bearer (token)')
    .replace(/\beyJ[\w.+/=-]{8,}/g, '(token)')
    .replace(/[\w+/=-]{64,}/g, '(…)');
}

/**
 * Quoted strings and literals of a FETCH answer are parts of a mail (RFC 3501 section 7.4.2); elsewhere they are names.
 * Control characters would tear the line apart.
 */
function withoutContents(line: string): string {
  const plain = line.replace(/[\p{Cc}\u2028\u2029]+/gu, ' ').trim();
  const safe = /^\* \d+ FETCH /i.test(plain) ? plain.replace(/"(?:[^"\\]|\\.)*"?/g, '"…"') : plain;
  return safe.length > maxLine ? `${safe.slice(0, maxLine)}…` : safe;
}
