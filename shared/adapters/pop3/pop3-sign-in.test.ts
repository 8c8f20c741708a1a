import { createHmac } from 'node:crypto';
import { afterEach, describe, expect, it } from 'vitest';
import { onThisMachine } from '../../../test/support/on-this-machine.ts';
import { pop3Store } from '../../../test/support/pop3-fixture.ts';
import {
  type Pop3Script,
  type ScriptedPop3,
  startScriptedPop3,
  usualCapabilities,
} from '../../../test/support/scripted-pop3.ts';
import { never } from '../../../test/support/store-helpers.ts';
import { openSocket } from '../net/open-socket.ts';
import type { Credentials } from '../sign-in/credentials.ts';
import { StoreError } from '../store.ts';
import { Pop3Connection } from './connection.ts';
import { LineSocket } from './line-socket.ts';
import { parseCapabilities } from './replies.ts';
import { signIn } from './sign-in.ts';

const base64 = (text: string) => Buffer.from(text).toString('base64');

describe('signing in by POP3', () => {
  let server: ScriptedPop3;
  afterEach(() => server.stop());

  const start = async (script: Pop3Script = {}, capabilities: readonly string[] | undefined = usualCapabilities) => {
    server = await startScriptedPop3({ script, capabilities });
  };
  const open = async (auth: Readonly<Record<string, unknown>> = {}, secret = 'secret') => {
    const settings = {
      port: server.port,
      tls: { starttls: 'never' },
      timeout: 1_500,
      auth: { type: 'password', user: 'tester', secret: 'corpus-pop3', ...auth },
    };
    const session = await pop3Store(settings, { secret: async () => secret }).open({ signal: never });
    await session.close();
    return server.lines().filter((line) => !['CAPA', 'STAT', 'UIDL', 'QUIT'].includes(line));
  };
  const failure = async (opening: Promise<unknown>): Promise<StoreError> => {
    const error: unknown = await opening.catch((thrown: unknown) => thrown);
    if (!(error instanceof StoreError)) throw error;
    expect(error.hint).toBeTruthy();
    return error;
  };
  const everythingOf = (error: StoreError) => JSON.stringify([error.message, error.hint, error.stack, error.cause]);

  it('by USER and PASS, with spaces and letters of every kind', async () => {
    await start();
    expect(await open({ user: 'tester at home' }, 'pass wörd ')).toEqual([
      'USER tester at home',
      `PASS ${Buffer.from('pass wörd ').toString('latin1')}`,
    ]);
  });

  it('by SASL where the server takes no USER, or the account names a mechanism', async () => {
    await start({}, ['UIDL', 'SASL LOGIN PLAIN CRAM-MD5']);
    expect(await open()).toEqual(['AUTH PLAIN', base64('\0tester\0secret')]);
    await server.stop();
    let asked = 0;
    await start({ DATA: () => (asked++ === 0 ? '+ UGFzc3dvcmQ6\r\n' : 'ordinary') }, [
      ...usualCapabilities,
      'SASL LOGIN',
    ]);
    expect(await open({ mechanisms: ['PLAIN', 'LOGIN'] })).toEqual(['AUTH LOGIN', base64('tester'), base64('secret')]);
    await server.stop();
    await start({ AUTH: () => `+ ${base64('<1@host>')}\r\n` }, undefined);
    const proof = createHmac('md5', 'secret').update('<1@host>').digest('hex');
    expect(await open({ mechanisms: ['CRAM-MD5'] })).toEqual(['AUTH CRAM-MD5', base64(`tester ${proof}`)]);
  });

  it('shows no answer to a challenge in its dialogue, whatever letters it begins with', async () => {
    const user = 'ab~';
    await start({ AUTH: () => `+ ${base64('<1@host>')}\r\n` }, ['UIDL', 'SASL CRAM-MD5']);
    const shown: string[] = [];
    const dialogue = () => ({ client: (line: string) => shown.push(line), server: () => {}, attach: () => {} });
    const auth = { type: 'password', user, secret: 'corpus-pop3' };
    const store = pop3Store({ port: server.port, tls: { starttls: 'never' }, auth }, { dialogue });
    await (await store.open({ signal: never })).close();
    const proof = createHmac('md5', 'secret').update('<1@host>').digest('hex');
    // It begins with three letters and a plus sign, like a command at a glance.
    expect(server.lines()).toContain(base64(`${user} ${proof}`));
    expect(shown).toEqual(['CAPA', 'AUTH CRAM-MD5', '(hidden)', 'STAT', 'UIDL', 'QUIT']);
  });

  it('sends nothing where none of the named mechanisms is offered', async () => {
    await start({}, [...usualCapabilities, 'SASL PLAIN']);
    const error = await failure(open({ mechanisms: ['CRAM-MD5'] }));
    expect(error).toMatchObject({ kind: 'permission', code: 'NO_MECHANISM', hint: expect.stringContaining('PLAIN') });
    expect(server.lines()).toEqual(['CAPA']);
  });

  it('sends no line break of a secret as the beginning of another command', async () => {
    await start();
    const error = await failure(open({}, 'secret\r\nDELE 1'));
    expect(error).toMatchObject({ kind: 'permission', code: 'SECRET', hint: expect.stringContaining('line break') });
    expect(server.lines()).toEqual(['CAPA']);
  });

  it('says what is wrong with an account without credentials, or with a secret that is not there', async () => {
    await start();
    const settings = { port: server.port, tls: { starttls: 'never' } };
    const none = await failure(pop3Store({ ...settings, auth: { type: 'none' } }).open({ signal: never }));
    expect(none).toMatchObject({ kind: 'permission', code: 'NO_CREDENTIALS' });
    const missing = pop3Store(settings, { secret: () => Promise.reject(new Error('not found')) });
    expect(await failure(missing.open({ signal: never }))).toMatchObject({ kind: 'connection', code: 'SECRET' });
  });

  it.each(['PASS', 'DATA'])('keeps the password out of errors even where the server repeats it: %s', async (name) => {
    await start({ [name]: (line) => `-ERR no such user or password: ${line}\r\n` }, [
      ...usualCapabilities,
      'SASL PLAIN',
    ]);
    const password = 'päss-wörd-3';
    const error = await failure(open(name === 'PASS' ? {} : { mechanisms: ['PLAIN'] }, password));
    expect(error.kind).toBe('signIn');
    for (const form of [password, base64(`\0tester\0${password}`)]) expect(everythingOf(error)).not.toContain(form);
  });

  describe('with a token', () => {
    const token = 'eyJ0eXAiOiJKV1Qi.token';
    const blob = base64(`user=tester\u0001auth=Bearer ${token}\u0001\u0001`);
    const byToken = async () => {
      const credentials: Credentials = { kind: 'token', user: 'tester', token, kept: false, refused: () => undefined };
      const socket = await openSocket(
        { host: '127.0.0.1', port: server.port, timeout: 1_000, ...onThisMachine },
        never,
      );
      const connection = new Pop3Connection(new LineSocket(socket, 1_500), parseCapabilities(usualCapabilities));
      try {
        await connection.reply('to be greeted', never);
        await signIn(
          connection,
          { type: 'oauth2', user: 'tester', credential: { type: 'managedIdentity' } },
          credentials,
          never,
        );
      } finally {
        connection.socket.destroy();
      }
    };

    it('in two lines, as Exchange Online asks for', async () => {
      await start({
        AUTH: (line) => (line === 'AUTH XOAUTH2' ? '+ \r\n' : '-ERR Protocol error. Connection is closed.\r\n'),
      });
      await byToken();
      expect(server.lines()).toEqual(['AUTH XOAUTH2', blob]);
    });

    it('refused by -ERR: it is the credentials, and the token does not see it', async () => {
      await start({ DATA: (line) => `-ERR Authentication failure: unknown user name or bad password. ${line}\r\n` });
      const error = await failure(byToken());
      expect(error).toMatchObject({ kind: 'signIn', hint: expect.stringContaining('token') });
      expect(everythingOf(error)).not.toContain(token);
      expect(everythingOf(error)).not.toContain(blob);
    });

    it('refused by a challenge that says why: it is answered, as Google asks for', async () => {
      const challenge = `+ ${base64('{"status":"400"}')}\r\n`;
      await start({ DATA: (line) => (line === '' ? '-ERR [AUTH] invalid credentials\r\n' : challenge) });
      expect(await failure(byToken())).toMatchObject({ kind: 'signIn', code: 'AUTH' });
      expect(server.lines()).toEqual(['AUTH XOAUTH2', blob, '']);
    });

    it('a server in trouble is no refusal', async () => {
      await start({ DATA: () => '-ERR [SYS/TEMP] try again later\r\n' });
      expect(await failure(byToken())).toMatchObject({ kind: 'connection' });
    });
  });
});
