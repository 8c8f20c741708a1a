import type { Socket } from 'node:net';
import { StepFailure } from './steps.ts';

/** The protocols with a dialogue before TLS; the key is the plain protocol's name. */
export type PlainProtocol = 'smtp' | 'imap' | 'pop3';

/** A reply before sign-in is some hundred bytes; this stops a server that never ends one. */
const maxReplyBytes = 16_384;

interface Grammar {
  readonly name: string;
  /** The end of a greeting that welcomes the client. */
  readonly welcome: RegExp;
  /** Any greeting of this protocol, also one that turns the client away. */
  readonly greeting: RegExp;
  /** Said before STARTTLS, with the end of the answer. */
  readonly hello?: readonly [command: string, end: RegExp];
  readonly startTls: readonly [command: string, answer: RegExp, yes: RegExp];
}

/** RFC 5321 and 3207, RFC 3501, RFC 1939 and 2595: as much of each as comes before TLS. */
const grammars: Readonly<Record<PlainProtocol, Grammar>> = {
  smtp: {
    name: 'SMTP',
    welcome: /^220( .*)?\r?\n/m,
    greeting: /^\d{3}([ -].*)?\r?\n/m,
    hello: ['EHLO [127.0.0.1]', /^\d{3}( .*)?\r?\n/m],
    startTls: ['STARTTLS', /^\d{3}( .*)?\r?\n/m, /^220[ \r\n]/m],
  },
  imap: {
    name: 'IMAP',
    welcome: /^\* (OK|PREAUTH).*\r?\n/i,
    greeting: /^\* \w.*\r?\n/i,
    startTls: ['v STARTTLS', /^v \w.*\r?\n/im, /^v OK/im],
  },
  pop3: {
    name: 'POP3',
    welcome: /^\+OK.*\r?\n/,
    greeting: /^(\+OK|-ERR).*\r?\n/,
    startTls: ['STLS', /^(\+OK|-ERR).*\r?\n/, /^\+OK/],
  },
};

/** Reads the greeting. Throws StepFailure where something else answers, nothing does, or the client is turned away. */
export async function readGreeting(protocol: PlainProtocol, socket: Socket, silenceMs: number): Promise<void> {
  const { name, welcome, greeting } = grammars[protocol];
  const said = await reply(
    socket,
    silenceMs,
    (text) => /\n/.test(text) && (welcome.test(text) || !/^\d{3}-/.test(text)),
  );
  if (said === undefined) {
    throw new StepFailure({
      code: 'GREETING_TIMEOUT',
      hint: `The server takes connections and says nothing. Check that the port is ${name} without TLS from the start.`,
    });
  }
  if (welcome.test(said)) return;
  if (greeting.test(said)) {
    throw new StepFailure({
      code: 'TURNED_AWAY',
      detail: replyCode(said),
      hint: 'The server turns this client away when it connects. Ask its operator whether this address may use it.',
    });
  }
  throw new StepFailure({
    code: 'OTHER_PROTOCOL',
    hint: otherProtocolHint(protocol, said),
  });
}

/** Beginnings by which a service says what it speaks. FTP greets like SMTP, and cannot be distinguished from it. */
const spoken: readonly (readonly [RegExp, string, PlainProtocol?])[] = [
  [/^220[ -]/, 'SMTP', 'smtp'],
  [/^\* (OK|PREAUTH|BYE)\b/i, 'IMAP', 'imap'],
  [/^(\+OK|-ERR)/, 'POP3', 'pop3'],
  [/^HTTP\//, 'HTTP: it is a web server'],
  [/^SSH-/, 'SSH'],
];

/** What answers, as far as its first characters show; none of its words. */
function otherProtocolHint(wanted: PlainProtocol, said: string): string {
  const found = spoken.find(([start, , protocol]) => protocol !== wanted && start.test(said));
  const name = grammars[wanted].name;
  if (!found) return `What answers there does not speak ${name}. Check host and port.`;
  const [, other, protocol] = found;
  const instead = protocol === undefined ? '' : `, or set the protocol to ${protocol} or ${protocol}s`;
  return `What answers there speaks ${other}, and not ${name}. Check host and port${instead}.`;
}

/** Asks for TLS; false where the server does not offer it. Throws StepFailure where it falls silent or goes away. */
export async function askForTls(protocol: PlainProtocol, socket: Socket, silenceMs: number): Promise<boolean> {
  const { hello, startTls } = grammars[protocol];
  if (hello) await ask(socket, hello[0], hello[1], silenceMs);
  const [command, answer, yes] = startTls;
  const said = await ask(socket, command, answer, silenceMs);
  const line = answer.exec(said);
  if (!yes.test(said)) return false;
  // Whatever came in the clear behind the yes would be taken for the server's words within TLS (CVE-2011-0411).
  if (line && said.length > line.index + line[0].length) {
    throw new StepFailure({
      code: 'STARTTLS_INJECTION',
      hint: 'The server, or something between, sent more than its answer to STARTTLS. Do not sign in over this connection.',
    });
  }
  return true;
}

async function ask(socket: Socket, command: string, end: RegExp, silenceMs: number): Promise<string> {
  socket.write(`${command}\r\n`);
  const said = await reply(socket, silenceMs, (text) => end.test(text));
  if (said !== undefined) return said;
  throw new StepFailure({
    code: 'ETIMEDOUT',
    hint: `The server fell silent after ${command.replace(/ \[.*/, '')}. It may pass; else look at its log.`,
  });
}

/** What the server says until `complete`; undefined when it is silent for too long. Throws when it goes away. */
function reply(socket: Socket, silenceMs: number, complete: (text: string) => boolean): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    let text = '';
    const finish = (outcome: () => void) => {
      clearTimeout(timer);
      socket.off('data', onData).off('close', onClose).off('error', onError);
      outcome();
    };
    const onData = (chunk: Buffer) => {
      text += chunk.toString('latin1');
      if (complete(text) || text.length > maxReplyBytes) finish(() => resolve(text));
    };
    const onError = (error: Error) => finish(() => reject(error));
    const onClose = () =>
      finish(() => (text === '' ? reject(Object.assign(new Error('closed'), { code: 'ECONNRESET' })) : resolve(text)));
    const timer = setTimeout(() => finish(() => resolve(undefined)), silenceMs);
    socket.on('data', onData).once('close', onClose).once('error', onError);
  });
}

/**
 * Codes of an SMTP reply, such as `554 5.7.1`; undefined for other protocols. Whoever answers may be no mail server at
 * all: its words are not repeated.
 */
function replyCode(said: string): string | undefined {
  return /^\d{3}(?:[ -][245]\.\d{1,3}\.\d{1,3}\b)?/.exec(said)?.[0].replace('-', ' ');
}
