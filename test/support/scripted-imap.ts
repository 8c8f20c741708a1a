import { createServer, type Socket } from 'node:net';

/** What a scripted server says to one command: bytes as they are, `undefined` for silence, or `cut`. */
export type ScriptedAnswer = string | Buffer | undefined | 'cut';

/** Answers commands by their upper-cased name (`UID FETCH` is one), or takes over with `line`. */
export type ImapScript = Readonly<Record<string, (tag: string, line: string) => ScriptedAnswer>>;

export interface ScriptedImap {
  readonly port: number;
  /** Command lines received, without their tags. */
  commands(): readonly string[];
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
  LIST: (tag) => `* LIST () "/" INBOX\r\n${tag} OK done\r\n`,
  LSUB: (tag) => `* LSUB () "/" INBOX\r\n${tag} OK done\r\n`,
  LOGOUT: (tag) => `* BYE\r\n${tag} OK done\r\n`,
};
const opened = '* 1 EXISTS\r\n* OK [UIDVALIDITY 7] ok\r\n* OK [UIDNEXT 2] ok\r\n';

/**
 * An IMAP server that says what a test writes down: for answers that no good server gives. It knows no more than lines,
 * so commands with literals are beyond it. What `script` does not name is answered as `ordinary` says, else with BAD.
 */
export async function startScriptedImap(script: ImapScript): Promise<ScriptedImap> {
  const answers: ImapScript = { ...ordinary, ...script };
  const received: string[] = [];
  const sockets = new Set<Socket>();
  const say = (socket: Socket, answer: ScriptedAnswer) => {
    if (answer === 'cut') socket.destroy();
    else if (answer !== undefined) socket.write(answer);
  };
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    let pending = '';
    socket.on('data', (chunk) => {
      pending += chunk.toString('latin1');
      const lines = pending.split('\r\n');
      pending = lines.pop() ?? '';
      for (const line of lines) {
        const [tag = '', first = '', second = ''] = line.split(' ');
        received.push(line.slice(tag.length + 1));
        const name = first.toUpperCase() === 'UID' ? `UID ${second.toUpperCase()}` : first.toUpperCase();
        const answer = answers[name];
        say(socket, answer ? answer(tag, line) : `${tag} BAD unknown\r\n`);
      }
    });
    say(socket, answers.GREETING?.('', ''));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('no port');
  return {
    port: address.port,
    commands: () => received,
    openConnections: () => sockets.size,
    stop: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
