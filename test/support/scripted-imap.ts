import { createServer, type Socket } from 'node:net';

/** What a scripted server says to one command: bytes as they are, `undefined` for silence, or `cut`. */
export type ScriptedAnswer = string | Buffer | undefined | 'cut';

/**
 * Answers commands by their upper-cased name (`UID FETCH` is one), or takes over with `line`. A command whose line ends
 * in a literal's head and is answered by `+` is answered again, as `APPEND END`, when the literal is whole.
 */
export type ImapScript = Readonly<Record<string, (tag: string, line: string) => ScriptedAnswer>>;

export interface ScriptedImap {
  readonly port: number;
  /** Command lines received, without their tags. */
  commands(): readonly string[];
  /** Literals of which every octet came. */
  literals(): readonly Buffer[];
  /** Octets of literals that came, whole or not. */
  literalBytes(): number;
  connections(): number;
  openConnections(): number;
  stop(): Promise<void>;
}

const capabilities = 'IMAP4rev1 UIDPLUS MOVE';

/** A mailbox with one mail of UID 1 and 24 octets, as most scripts need it. */
const ordinary: ImapScript = {
  GREETING: () => '* OK ready\r\n',
  CAPABILITY: (tag) => `* CAPABILITY ${capabilities}\r\n${tag} OK done\r\n`,
  LOGIN: (tag) => `${tag} OK [CAPABILITY ${capabilities}] signed in\r\n`,
  NAMESPACE: (tag) => `* NAMESPACE (("" "/")) NIL NIL\r\n${tag} OK done\r\n`,
  EXAMINE: (tag) => `${opened}${tag} OK [READ-ONLY] done\r\n`,
  SELECT: (tag) => `${opened}${tag} OK [READ-WRITE] done\r\n`,
  'UID SEARCH': (tag) => `* SEARCH 1\r\n${tag} OK done\r\n`,
  'UID FETCH': (tag) => `* 1 FETCH (UID 1 RFC822.SIZE 24 FLAGS ())\r\n${tag} OK done\r\n`,
  FETCH: (tag) => `* 1 FETCH (UID 1)\r\n${tag} OK done\r\n`,
  STATUS: (tag) => `* STATUS INBOX (UIDVALIDITY 7 UIDNEXT 2)\r\n${tag} OK done\r\n`,
  APPEND: () => '+ go on\r\n',
  'APPEND END': (tag) => `${tag} OK [APPENDUID 7 2] done\r\n`,
  LIST: (tag) => `* LIST () "/" INBOX\r\n${tag} OK done\r\n`,
  LSUB: (tag) => `* LSUB () "/" INBOX\r\n${tag} OK done\r\n`,
  LOGOUT: (tag) => `* BYE\r\n${tag} OK done\r\n`,
};
const opened = '* 1 EXISTS\r\n* OK [UIDVALIDITY 7] ok\r\n* OK [UIDNEXT 2] ok\r\n';

/**
 * An IMAP server that says what a test writes down: for answers that no good server gives. It knows no more than
 * lines, and of literals at the end of a command. What `script` does not name is answered as `ordinary` says, else with BAD.
 */
export async function startScriptedImap(script: ImapScript): Promise<ScriptedImap> {
  const answers: ImapScript = { ...ordinary, ...script };
  const received: string[] = [];
  const literals: Buffer[] = [];
  let literalBytes = 0;
  let connections = 0;
  const sockets = new Set<Socket>();
  const say = (socket: Socket, answer: ScriptedAnswer) => {
    if (answer === 'cut') socket.destroy();
    else if (answer !== undefined) socket.write(answer);
  };
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    connections += 1;
    let pending = '';
    let literal: { readonly tag: string; readonly name: string; readonly size: number } | undefined;
    const readLiteral = (): boolean => {
      if (!literal || pending.length < literal.size + 2) return false;
      const { tag, name, size } = literal;
      literals.push(Buffer.from(pending.slice(0, size), 'latin1'));
      pending = pending.slice(size + 2);
      literal = undefined;
      say(socket, answers[`${name} END`]?.(tag, ''));
      return true;
    };
    const readLine = (): boolean => {
      const end = pending.indexOf('\r\n');
      if (end < 0) return false;
      const line = pending.slice(0, end);
      pending = pending.slice(end + 2);
      const [tag = '', first = '', second = ''] = line.split(' ');
      received.push(line.slice(tag.length + 1));
      const name = first.toUpperCase() === 'UID' ? `UID ${second.toUpperCase()}` : first.toUpperCase();
      const answer = answers[name] ? answers[name](tag, line) : `${tag} BAD unknown\r\n`;
      say(socket, answer);
      const size = /\{(\d+)\}$/.exec(line)?.[1];
      if (size !== undefined && String(answer).startsWith('+')) {
        literal = { tag, name, size: Number(size) };
        literalBytes += pending.length;
      }
      return true;
    };
    socket.on('data', (chunk) => {
      pending += chunk.toString('latin1');
      if (literal) literalBytes += chunk.length;
      while (literal ? readLiteral() : readLine());
    });
    say(socket, answers.GREETING?.('', ''));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('no port');
  return {
    port: address.port,
    commands: () => received,
    literals: () => literals,
    literalBytes: () => literalBytes,
    connections: () => connections,
    openConnections: () => sockets.size,
    stop: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
