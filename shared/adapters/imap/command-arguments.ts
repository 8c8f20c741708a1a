/** One argument of a command, as the library's compiler takes it. */
export type CommandNode =
  | {
      readonly type: 'ATOM' | 'STRING' | 'SEQUENCE' | 'TEXT';
      readonly value: string;
      readonly section?: readonly CommandNode[];
      readonly partial?: readonly number[];
      /** Kept out of the library's log. */
      readonly sensitive?: true;
    }
  | readonly CommandNode[];

/** A word that goes out as it is (RFC 3501 section 4.1). */
export const atom = (value: string): CommandNode => ({ type: 'ATOM', value });
/** Always quoted, so that no folder name can pass for syntax. */
export const quoted = (value: string): CommandNode => ({ type: 'STRING', value });
/** What the library must not log. */
export const secret = (value: string, type: 'STRING' | 'ATOM' = 'STRING'): CommandNode => ({
  type,
  value,
  sensitive: true,
});
/** A sequence set, such as `1:3,7` (RFC 3501 section 9). */
export const sequence = (value: string): CommandNode => ({ type: 'SEQUENCE', value });

/** The head of a literal of so many octets, which must come last: the octets follow when the server asks for them. */
export const literalHead = (octets: number): CommandNode => ({ type: 'TEXT', value: `{${octets}}` });

/** `BODY.PEEK[…]<from.length>`: PEEK, so that reading never sets \Seen. */
export function bodyPeek(
  section: readonly CommandNode[],
  range?: readonly [from: number, length: number],
): CommandNode {
  return { type: 'ATOM', value: 'BODY.PEEK', section, ...(range ? { partial: range } : {}) };
}
