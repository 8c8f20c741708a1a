import { createServer, type Socket } from 'node:net';
import { createSecureContext, TLSSocket } from 'node:tls';

/** What a scripted server says to one command: text as it is, `silent` (for good), `cut`, or what it would say anyway. */
export type ScriptedAnswer = string | Buffer | 'silent' | 'cut' | 'ordinary';

/** Answers commands by their upper-cased name; GREETING when a client connects, and DATA for what follows a challenge. */
export type Pop3Script = Readonly<Record<string, (line: string, session: ScriptedSession) => ScriptedAnswer>>;

export interface ScriptedSession {
  /** From 1, in the order of connecting. */
  readonly nth: number;
  readonly encrypted: boolean;
}

export interface ScriptedMail {
  readonly uidl: string;
  readonly bytes: Buffer;
}

export interface ScriptedPop3Options {
  readonly script?: Pop3Script;
  readonly mails?: readonly ScriptedMail[];
  /** Words of CAPA; undefined: -ERR. */
  readonly capabilities?: readonly string[] | undefined;
  readonly tls?: { readonly cert: string; readonly key: string; readonly maxVersion?: 'TLSv1' | 'TLSv1.1' };
}

export interface ScriptedPop3 {
  readonly port: number;
  /** The maildrop as it is: a test may change it. */
  readonly mails: ScriptedMail[];
  /** Lines received since the start, from all sessions, however encrypted. */
  lines(): readonly string[];
  /** Bytes received outside TLS. */
  plain(): string;
  sessions(): number;
  open(): number;
  /** Cuts the sessions that are open now. */
  cut(): void;
  stop(): Promise<void>;
}

export const usualCapabilities = ['TOP', 'UIDL', 'USER', 'RESP-CODES', 'PIPELINING'];

/**
 * A POP3 server over a maildrop in memory that says what a test writes down: for answers that no good server gives, and
 * for mailboxes that no good server has. What `script` does not name is answered as RFC 1939 says: one session at a time,
 * and deletes take effect at QUIT alone.
 */
export async function startScriptedPop3(options: ScriptedPop3Options = {}): Promise<ScriptedPop3> {
  const mails = [...(options.mails ?? [])];
  const capabilities = 'capabilities' in options ? options.capabilities : usualCapabilities;
  const received: string[] = [];
  const sockets = new Set<Socket>();
  let plain = '';
  let sessions = 0;
  let holder: number | undefined;

  const serve = (raw: Socket) => {
    sessions += 1;
    const nth = sessions;
    let socket = raw;
    let encrypted = false;
    let challenged = false;
    let quiet = false;
    let snapshot: readonly ScriptedMail[] = [];
    const deleted = new Set<ScriptedMail>();
    let pending = '';
    const at = (line: string) => snapshot[Number(line.split(' ')[1]) - 1];
    const ordinary = (name: string, line: string): string | Buffer => {
      const mail = at(line);
      const numbered = (each: (mail: ScriptedMail) => string | number) =>
        line.includes(' ')
          ? mail && !deleted.has(mail)
            ? `+OK ${line.split(' ')[1]} ${each(mail)}\r\n`
            : '-ERR no such message\r\n'
          : `+OK\r\n${snapshot.map((one, n) => (deleted.has(one) ? '' : `${n + 1} ${each(one)}\r\n`)).join('')}.\r\n`;
      switch (name) {
        case 'GREETING':
          return '+OK ready\r\n';
        case 'CAPA':
          return capabilities ? `+OK\r\n${capabilities.join('\r\n')}\r\n.\r\n` : '-ERR unknown command\r\n';
        case 'STLS':
          return options.tls ? '+OK begin\r\n' : '-ERR no TLS\r\n';
        case 'USER':
          return '+OK\r\n';
        case 'AUTH':
          challenged = true;
          return '+ \r\n';
        case 'DATA':
        case 'PASS':
          challenged = false;
          if (holder !== undefined) return '-ERR [IN-USE] locked by another session\r\n';
          holder = nth;
          snapshot = [...mails];
          return '+OK signed in\r\n';
        case 'STAT':
          return `+OK ${snapshot.length} ${snapshot.reduce((sum, { bytes }) => sum + bytes.length, 0)}\r\n`;
        case 'UIDL':
          return numbered(({ uidl }) => uidl);
        case 'LIST':
          return numbered(({ bytes }) => bytes.length);
        case 'RETR':
          return mail && !deleted.has(mail) ? answer(mail.bytes) : '-ERR no such message\r\n';
        case 'TOP':
          return mail ? answer(mail.bytes.subarray(0, mail.bytes.indexOf('\r\n\r\n') + 4)) : '-ERR no such message\r\n';
        case 'DELE':
          if (!mail || deleted.has(mail)) return '-ERR no such message\r\n';
          deleted.add(mail);
          return '+OK\r\n';
        case 'RSET':
          deleted.clear();
          return '+OK\r\n';
        case 'QUIT':
          for (const one of deleted) mails.splice(mails.indexOf(one), 1);
          if (holder === nth) holder = undefined;
          return '+OK bye\r\n';
        default:
          return '-ERR unknown command\r\n';
      }
    };
    const say = (name: string, line: string) => {
      const scripted = options.script?.[name]?.(line, { nth, encrypted }) ?? 'ordinary';
      quiet ||= scripted === 'silent';
      if (quiet) return;
      if (scripted === 'cut') {
        socket.destroy();
        return;
      }
      const answered = scripted === 'ordinary' ? ordinary(name, line) : scripted;
      const said = Buffer.isBuffer(answered) ? answered : Buffer.from(answered, 'latin1');
      if (scripted !== 'ordinary' && String(said).startsWith('+ ')) challenged = true;
      if (name === 'STLS' && String(said).startsWith('+OK') && options.tls) {
        socket.write(said, () => encrypt());
        return;
      }
      socket.write(said);
      // What a client says now are bytes of TLS: no lines, though some may look like one.
      quiet ||= name === 'STLS' && String(said).startsWith('+OK');
      if (name === 'QUIT') socket.end();
    };
    const encrypt = () => {
      const { cert, key, maxVersion } = options.tls ?? { cert: '', key: '', maxVersion: undefined };
      const old =
        maxVersion === undefined ? {} : { maxVersion, minVersion: maxVersion, ciphers: 'DEFAULT:@SECLEVEL=0' };
      raw.removeAllListeners('data');
      socket = new TLSSocket(raw, { isServer: true, secureContext: createSecureContext({ cert, key, ...old }) });
      encrypted = true;
      listen();
    };
    const listen = () => {
      socket.on('error', () => socket.destroy());
      socket.on('data', (chunk) => {
        if (!encrypted) plain += chunk.toString('latin1');
        pending += chunk.toString('latin1');
        const lines = pending.split('\r\n');
        pending = lines.pop() ?? '';
        for (const line of lines) {
          received.push(line);
          const isData = challenged;
          challenged = false;
          say(isData ? 'DATA' : (line.split(' ')[0] ?? '').toUpperCase(), line);
        }
      });
    };
    sockets.add(raw);
    raw.on('error', () => raw.destroy());
    raw.on('close', () => {
      sockets.delete(raw);
      if (holder === nth) holder = undefined;
    });
    listen();
    say('GREETING', '');
  };
  const server = createServer(serve);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('no port');
  return {
    port: address.port,
    mails,
    lines: () => received,
    plain: () => plain,
    sessions: () => sessions,
    open: () => sockets.size,
    cut: () => {
      for (const socket of sockets) socket.destroy();
    },
    stop: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** A mail as RETR and TOP send it (RFC 1939 section 3). */
function answer(bytes: Buffer): Buffer {
  const text = bytes.toString('latin1');
  const stuffed = text.replace(/^\./, '..').replace(/\r\n\./g, '\r\n..');
  return Buffer.from(`+OK\r\n${stuffed}${text === '' || text.endsWith('\r\n') ? '' : '\r\n'}.\r\n`, 'latin1');
}
