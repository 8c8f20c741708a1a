import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { makeTestCertificates, type TestCertificates } from '../support/certificates.ts';
import { startTlsDoor, type TlsDialect, type TlsDoor, type TlsDoorOptions } from '../support/tls-door.ts';

/** What became of connecting, securing and signing in. */
export type TlsOutcome =
  | { readonly ok: true }
  | {
      readonly ok: false;
      /** Whose trouble it is, in the protocol's own terms. */
      readonly whose: string;
      readonly code: string | undefined;
      readonly hint: string | undefined;
    };

/** One protocol, with a server of its own behind the door that the suite puts in front. */
export interface TlsFixture {
  /** In plain text, signing in by a password, without TLS or with an offer of it that the door hides. */
  readonly backend: { readonly host: string; readonly port: number };
  readonly dialect: TlsDialect;
  /** Connects and signs in by the account's password as its `tls` says, then leaves. */
  connect(target: { readonly host: string; readonly port: number; readonly tls: object }): Promise<TlsOutcome>;
  /** Each form in which the password could cross the line. */
  readonly passwordForms: readonly string[];
  /** What the protocol calls a fault of the account's own TLS settings. */
  readonly settingsTrouble: string;
  /** The code where STARTTLS is not offered and must be. */
  readonly withoutStarttls: RegExp;
  /** What becomes of plain text that came before the handshake. */
  readonly injected: 'refused' | 'discarded';
  tearDown(): Promise<void>;
}

type Variant = 'good' | 'expired' | 'wrongHost' | 'selfSigned';
const variants: readonly Variant[] = ['good', 'expired', 'wrongHost', 'selfSigned'];

/**
 * The `tls` of an account (design section 2): what is accepted and what is refused, on every protocol the same.
 * `implicit`: TLS from the first byte; else by a command of the protocol.
 */
export function tlsContract(name: string, implicit: boolean, start: () => Promise<TlsFixture>): void {
  describe(`TLS contract: ${name}`, () => {
    let directory = '';
    let fixture: TlsFixture;
    let certificates: Readonly<Record<Variant, TestCertificates>>;
    let door: TlsDoor | undefined;
    beforeAll(async () => {
      directory = await mkdtemp(join(tmpdir(), 'tls-contract-'));
      fixture = await start();
      const made = await Promise.all(
        variants.map(async (variant) => [variant, await makeTestCertificates(directory, { variant })] as const),
      );
      certificates = Object.fromEntries(made) as Record<Variant, TestCertificates>;
    });
    afterEach(async () => {
      await door?.stop();
      door = undefined;
    });
    afterAll(async () => {
      await fixture?.tearDown();
      await rm(directory, { recursive: true });
    });

    const open = async (variant: Variant, options: Partial<TlsDoorOptions> = {}): Promise<TlsDoor> => {
      await door?.stop();
      door = await startTlsDoor({
        backend: fixture.backend,
        dialect: fixture.dialect,
        certificate: certificates[variant],
        tls: implicit ? 'implicit' : 'offered',
        ...options,
      });
      return door;
    };
    const connect = ({ port }: TlsDoor, tls: object, host = '127.0.0.1') => fixture.connect({ host, port, tls });
    const passwordOverheard = ({ overheard }: TlsDoor) =>
      fixture.passwordForms.some((form) => overheard().includes(form));
    const refusal = (whose: string, code: unknown, hint: string) => ({
      ok: false,
      whose,
      code,
      hint: expect.stringContaining(hint),
    });

    it('takes a good chain by ca, and what trust names without looking', async () => {
      const { ca } = certificates.good;
      const accepted = [{ ca }, { trust: '*' }, { trust: ['127.0.0.1'] }, { trust: ['other.example', '127.0.0.1'] }];
      const to = await open('good');
      for (const tls of accepted) expect(await connect(to, tls)).toEqual({ ok: true });
      expect(to.secured()).toBe(accepted.length);
      expect(passwordOverheard(to)).toBe(false);
    });

    it.each([
      ['good', 'of an authority that is not known', /SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_/, 'tls.ca', false],
      ['selfSigned', 'signed by itself', /DEPTH_ZERO_SELF_SIGNED_CERT/, 'tls.ca', false],
      ['expired', 'that has expired', /^CERT_HAS_EXPIRED$/, 'tls.trust', true],
      ['wrongHost', 'of another host', /^ERR_TLS_CERT_ALTNAME_INVALID$/, 'tls.trust', true],
    ] as const)('refuses a certificate %s: %s, unless trust names the host', async (variant, _, code, hint, withCa) => {
      const { ca } = certificates[variant];
      const to = await open(variant);
      for (const starttls of implicit ? ['preferred'] : ['preferred', 'required']) {
        const before = to.connections();
        const outcome = await connect(to, { starttls, ...(withCa ? { ca } : {}) });
        expect(outcome).toEqual(refusal(fixture.settingsTrouble, expect.stringMatching(code), hint));
        // No second connection, and nothing in plain text instead.
        expect(to.connections() - before).toBe(1);
      }
      expect(passwordOverheard(to)).toBe(false);
      expect(await connect(to, { trust: ['127.0.0.1'] })).toEqual({ ok: true });
      expect(await connect(to, { trust: '*' })).toEqual({ ok: true });
      expect(await connect(to, { ca, trust: ['127.0.0.1'] })).toEqual({ ok: true });
    });

    it('takes a certificate signed by itself as its own ca', async () => {
      expect(await connect(await open('selfSigned'), { ca: certificates.selfSigned.ca })).toEqual({ ok: true });
    });

    it('refuses a host that a given list does not name, before anything is sent (trap: as Jakarta Mail does)', async () => {
      const to = await open('good');
      const tls = { ca: certificates.good.ca, trust: ['mail.example.com'] };
      expect(await connect(to, tls)).toEqual(refusal(fixture.settingsTrouble, 'TLS_NOT_ALLOWED', 'tls.trust'));
      expect(to.connections()).toBe(0);
    });

    it('names the host by SNI, but never an address', async () => {
      const to = await open('good');
      const tls = { ca: certificates.good.ca };
      expect(await connect(to, tls, 'localhost')).toEqual({ ok: true });
      expect(await connect(to, tls)).toEqual({ ok: true });
      expect(to.names()).toEqual(['localhost']);
    });

    it('speaks an old TLS only where the account allows it', async () => {
      const { ca } = certificates.good;
      const to = await open('good', { versions: { min: 'TLSv1', max: 'TLSv1.1' } });
      for (const tls of [{ ca }, { trust: '*' }, { ca, minVersion: 'TLSv1.3' }]) {
        expect(await connect(to, tls)).toMatchObject({ ok: false, hint: expect.stringContaining('minVersion') });
      }
      expect(to.secured()).toBe(0);
      expect(passwordOverheard(to)).toBe(false);
      expect(await connect(to, { ca, minVersion: 'TLSv1' })).toEqual({ ok: true });
      expect(await connect(to, { ca, minVersion: 'TLSv1.1' })).toEqual({ ok: true });
      const newer = await open('good', { versions: { min: 'TLSv1.2', max: 'TLSv1.2' } });
      expect(await connect(newer, { ca })).toEqual({ ok: true });
      expect(await connect(newer, { ca, minVersion: 'TLSv1.3' })).toMatchObject({ ok: false });
    });

    if (implicit) {
      it('distinguishes a port that speaks TLS later from one that does from the start', async () => {
        const to = await open('good', { tls: 'offered' });
        const outcome = await connect(to, { ca: certificates.good.ca });
        expect(outcome).toMatchObject({ ok: false, whose: 'connection', hint: expect.stringContaining('STARTTLS') });
        expect(passwordOverheard(to)).toBe(false);
      });
      return;
    }

    it.each(['preferred', 'required'])('takes STARTTLS where it is offered: %s', async (starttls) => {
      const to = await open('good');
      expect(await connect(to, { starttls, ca: certificates.good.ca })).toEqual({ ok: true });
      expect(to.secured()).toBe(1);
      expect(passwordOverheard(to)).toBe(false);
    });

    it.each([
      ['preferred', 'hidden'],
      ['required', 'hidden'],
      ['preferred', 'refused'],
      ['required', 'refused'],
    ] as const)('sends no password without TLS: %s, and STARTTLS is %s', async (starttls, tls) => {
      const to = await open('good', { tls });
      const outcome = await connect(to, { starttls, ca: certificates.good.ca });
      const missing = { whose: fixture.settingsTrouble, code: expect.stringMatching(fixture.withoutStarttls) };
      const hint = expect.stringMatching(/starttls/i);
      expect(outcome).toMatchObject({ ok: false, hint, ...(tls === 'hidden' ? missing : {}) });
      expect(to.connections()).toBe(1);
      expect(to.secured()).toBe(0);
      expect(passwordOverheard(to)).toBe(false);
    });

    it('leaves STARTTLS alone where the account says never, and only then sends the password openly', async () => {
      for (const tls of ['offered', 'hidden'] as const) {
        const to = await open('good', { tls });
        expect(await connect(to, { starttls: 'never' })).toEqual({ ok: true });
        expect(to.secured()).toBe(0);
        expect(passwordOverheard(to)).toBe(true);
      }
    });

    it.each(['lines', 'fragment'] as const)(
      'takes nothing that came in plain text before the handshake for the server’s: %s (trap: response injection)',
      async (form) => {
        const inject = fixture.dialect.injections[form];
        const to = await open('good', { inject });
        const outcome = await connect(to, { ca: certificates.good.ca });
        expect(passwordOverheard(to)).toBe(false);
        const refused = refusal('connection', 'STARTTLS_INJECTION', 'plain text');
        expect(outcome).toEqual(fixture.injected === 'discarded' ? { ok: true } : refused);
        // The same server without it is a good one.
        const good = await open('good');
        expect(await connect(good, { ca: certificates.good.ca })).toEqual({ ok: true });
      },
    );
  });
}
