import { useState } from 'preact/hooks';
import type { Draft } from '../../parts/draft.ts';
import { SelectField, TextField } from '../../parts/field.tsx';
import { useMistake } from '../../parts/form.tsx';
import { ListField } from '../../parts/list-field.tsx';
import type { Side } from './verification.ts';

const starttls = [
  { value: 'required', name: 'required' },
  { value: 'preferred', name: 'taken where the server offers it' },
  { value: 'never', name: 'never: password and mail can be read on the way' },
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
  const [known] = useState(trust.length > 0 || ca !== '');
  const wrong = [useMistake(`${at}/trust`), useMistake(`${at}/ca`)].some((mistake) => mistake !== undefined);
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
      <details open={known || wrong || (error !== undefined && !plain)}>
        <summary>Certificates</summary>
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
      </details>
    </>
  );
}
