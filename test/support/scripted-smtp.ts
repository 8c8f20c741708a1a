import net from 'node:net';
import { createSecureContext, TLSSocket } from 'node:tls';

/** What the server does where a reply is due. `cut` drops the connection, after the reply where one is given. */
export type Answer = string | { readonly reply?: string; readonly next: 'cut' | 'silent' };

export interface ScriptedMail {
  readonly recipients: readonly string[];
  /** The text with dots unstuffed; only of mail whose end came. */
  readonly text: Buffer;
}

export interface Script {
  /** Lines of the EHLO reply behind the first. Default: PIPELINING and 8BITMIME. */
  readonly extensions?: readonly string[];
  /** Offers STARTTLS with this. A `cut` behind its 220 is a handshake that fails. */
  readonly tls?: { readonly key: string; readonly cert: string };
  /**
   * The answer at a step: `GREETING`, `EHLO`, `AUTH`, `MAIL`, `RCPT`, `DATA`, `END` (the final dot), `TEXT` (the first
   * bytes of the text; nothing by default), or another verb. Undefined: the ordinary one. `connection` counts from 1.
   */
  answer?(step: string, line: string, connection: number): Answer | undefined;
}

export interface ScriptedSmtp {
  readonly host: string;
  readonly port: number;
  /** Every command line, without its line end. */
  readonly commands: readonly string[];
  readonly mails: readonly ScriptedMail[];
  /** Bytes of texts that came, whole or not. */
  textBytes(): number;
  connections(): number;
  openConnections(): number;
  /** From now on the server answers as `answer` says, and as the script's no more. */
  answers(answer: NonNullable<Script['answer']>): void;
  stop(): Promise<void>;
}

const END_OF_TEXT = Buffer.from('\r\n.\r\n');

/** A server on a raw socket that answers as a test says: refusals, silence and cuts at any step. */
export async function startScriptedSmtp(script: Script = {}): Promise<ScriptedSmtp> {
  const commands: string[] = [];
  const mails: ScriptedMail[] = [];
  const sockets = new Set<net.Socket>();
  let connections = 0;
  let textBytes = 0;
  let say: Script['answer'] = (...asked) => script.answer?.(...asked);

  const ordinary: Readonly<Record<string, string>> = {
    GREETING: '220 scripted.example ESMTP',
    AUTH: '235 2.7.0 welcome',
    STARTTLS: '220 2.0.0 go on',
    DATA: '354 go on',
    END: '250 2.0.0 kept',
    QUIT: '221 2.0.0 bye',
    TEXT: '',
  };

  const secureContext = script.tls && createSecureContext(script.tls);
  const ehlo = (offersTls: boolean) =>
    ['scripted.example', ...(script.extensions ?? ['PIPELINING', '8BITMIME']), ...(offersTls ? ['STARTTLS'] : [])]
      .map((line, index, all) => `250${index === all.length - 1 ? ' ' : '-'}${line}`)
      .join('\r\n');

  const server = net.createServer((socket) => {
    /** Where the dialogue is: within TLS once that has begun. */
    let wire: net.Socket = socket;
    connections += 1;
    const connection = connections;
    sockets.add(socket);
    socket.setNoDelay(true);
    socket.on('close', () => sockets.delete(socket)).on('error', () => {});
    let pending: Buffer = Buffer.alloc(0);
    let inText = false;
    let textBegun = false;
    let silent = false;
    let recipients: string[] = [];

    function answer(step: string, line = ''): boolean {
      const usual = step === 'EHLO' ? ehlo(secureContext !== undefined && wire === socket) : ordinary[step];
      const given = say?.(step, line, connection) ?? usual ?? '250 2.0.0 ok';
      const reply = typeof given === 'string' ? given : given.reply;
      if (reply) wire.write(`${reply}\r\n`);
      if (typeof given !== 'string') {
        silent = true;
        // Everything written leaves before the end.
        if (given.next === 'cut') wire.end(() => socket.destroy());
      } else if (step === 'QUIT') wire.end();
      return reply?.startsWith('3') === true || reply?.startsWith('2') === true;
    }

    function readText(): boolean {
      const from = pending.subarray(0, 3).toString() === '.\r\n' ? 0 : pending.indexOf(END_OF_TEXT);
      if (from < 0) return false;
      const end = from === 0 && pending[0] === 0x2e ? 0 : from + 2;
      const text = pending.subarray(0, end).toString('latin1').replace(/^\./gm, '');
      pending = pending.subarray(end + 3);
      inText = false;
      mails.push({ recipients, text: Buffer.from(text, 'latin1') });
      answer('END');
      return true;
    }

    function readCommand(): boolean {
      const end = pending.indexOf('\r\n');
      if (end < 0) return false;
      const line = pending.subarray(0, end).toString();
      pending = pending.subarray(end + 2);
      commands.push(line);
      const step = (line.split(/[ :]/)[0] ?? '').toUpperCase();
      const taken = answer(step, line);
      if (step === 'STARTTLS' && taken && !silent && secureContext) beginTls();
      if (step === 'MAIL') recipients = [];
      if (step === 'RCPT' && taken) recipients.push(/<(.*)>/.exec(line)?.[1] ?? '');
      if (step === 'DATA' && taken) {
        inText = true;
        textBegun = false;
        textBytes += pending.length;
      }
      return true;
    }

    function beginTls(): void {
      pending = Buffer.alloc(0);
      socket.removeListener('data', read);
      wire = new TLSSocket(socket, { isServer: true, secureContext });
      wire.on('error', () => {}).on('data', read);
    }

    function read(chunk: Buffer): void {
      if (silent) return;
      if (inText) {
        textBytes += chunk.length;
        if (!textBegun) {
          textBegun = true;
          answer('TEXT');
        }
        if (silent) return;
      }
      pending = Buffer.concat([pending, chunk]);
      while (!silent && (inText ? readText() : readCommand()));
    }

    socket.on('data', read);
    answer('GREETING');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    host: '127.0.0.1',
    port: address.port,
    commands,
    mails,
    textBytes: () => textBytes,
    connections: () => connections,
    openConnections: () => sockets.size,
    answers(answer) {
      say = answer;
    },
    async stop() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
