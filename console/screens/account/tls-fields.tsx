import type { Draft } from '../../parts/draft.ts';
import { SelectField, TextField } from '../../parts/field.tsx';
import { ListField } from '../../parts/list-field.tsx';
import { More } from '../../parts/more.tsx';
import type { Side } from './verification.ts';

const starttls = [
  { value: 'required', name: 'required' },
  { value: 'preferred', name: 'taken where the server offers it' },
  { value: 'never', name: 'never: password and mail can be read on the way' },
] as const;

/** From the usual one down: the last two are no longer safe (RFC 8996). */
const versions = [
  { value: 'TLSv1.2', name: 'TLS 1.2' },
  { value: 'TLSv1.3', name: 'TLS 1.3' },
  { value: 'TLSv1.1', name: 'TLS 1.1: no longer safe' },
  { value: 'TLSv1', name: 'TLS 1.0: no longer safe' },
] as const;

export interface TlsFieldsProps {
  readonly side: Side;
  readonly draft: Draft;
  /** What was found wrong with the encryption when it was tried. */
  readonly error: string | undefined;
}

/** How the connection of a side is encrypted, and which certificates are believed. */
export function TlsFields({ side, draft, error }: TlsFieldsProps) {
  const at = `/${side}/tls`;
  const plain = !draft.text(`/${side}/protocol`).endsWith('s');
  const trusted = draft.get(`${at}/trust`);
  const trust = [trusted ?? []].flat().map(String);
  const ca = draft.text(`${at}/ca`);
  const version = versions.find(({ value }) => value === draft.text(`${at}/minVersion`))?.value ?? 'TLSv1.2';
  const setTrust = (hosts: readonly string[]) =>
    draft.set(`${at}/trust`, hosts.length === 0 ? undefined : hosts.join() === '*' ? '*' : hosts);
  return (
    <>
      {plain && (
        <SelectField
          label="Encryption (STARTTLS)"
          pointer={`${at}/starttls`}
          value={starttls.find(({ value }) => value === draft.text(`${at}/starttls`))?.value ?? 'preferred'}
          options={starttls}
          onChange={(value) => draft.set(`${at}/starttls`, value)}
          error={error}
        />
      )}
      {!plain && error && <p class="mistake">{error}</p>}
      <More
        summary="Certificates and version of TLS"
        used={trust.length > 0 || ca !== '' || version !== 'TLSv1.2'}
        pointers={[`${at}/trust`, `${at}/ca`, `${at}/minVersion`]}
        wrong={error !== undefined && !plain}
      >
        <ListField
          label="Hosts whose certificate is not checked"
          pointer={`${at}/trust`}
          values={trust}
          onChange={setTrust}
          hint="With blanks between them; * is any. Every other host is refused then. Empty: each is checked."
        />
        <TextField
          label="Authorities to believe"
          pointer={`${at}/ca`}
          value={ca}
          onChange={(value) => draft.set(`${at}/ca`, value.trim() === '' ? null : value)}
          rows={3}
          placeholder="-----BEGIN CERTIFICATE-----"
          hint="Certificates in PEM, where the server has one of your own authority."
        />
        <SelectField
          label="Oldest version of TLS"
          pointer={`${at}/minVersion`}
          value={version}
          options={versions}
          onChange={(value) => draft.set(`${at}/minVersion`, value)}
        />
      </More>
    </>
  );
}
