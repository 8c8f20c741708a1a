import type { Draft } from '../../parts/draft.ts';
import { CheckField, SelectField } from '../../parts/field.tsx';

const asking = [
  { value: '', name: 'are left to the servers on the way' },
  { value: 'some', name: 'are asked for' },
  { value: 'never', name: 'are not wanted, not even of a failure' },
] as const;

const moments = [
  { value: 'failure', name: 'where a mail could not be delivered' },
  { value: 'delay', name: 'where it is late' },
  { value: 'success', name: 'where it was delivered' },
] as const;

const contents = [
  { value: '', name: 'as much as the server likes' },
  { value: 'headers', name: 'its headers' },
  { value: 'full', name: 'all of it' },
] as const;

export interface NoticeFieldsProps {
  /** Where the account has them. */
  readonly at: string;
  readonly draft: Draft;
}

/** Which delivery notices the account's mail asks for, unless a mail itself says (RFC 3461). */
export function NoticeFields({ at, draft }: NoticeFieldsProps) {
  const notify = [draft.get(`${at}/notify`) ?? []].flat().map(String);
  const asked = notify.length === 0 ? '' : notify[0] === 'never' ? 'never' : 'some';
  const ret = contents.find(({ value }) => value === draft.text(`${at}/ret`))?.value ?? '';
  /** Without either of them the account says nothing of notices. */
  const set = (nextNotify: readonly string[], nextRet: string) => {
    const dsn = {
      ...(nextNotify.length === 0 ? {} : { notify: nextNotify }),
      ...(nextRet === '' ? {} : { ret: nextRet }),
    };
    draft.set(at, Object.keys(dsn).length === 0 ? undefined : dsn);
  };
  return (
    <>
      <div class="columns">
        <SelectField
          label="Delivery notices"
          pointer={`${at}/notify`}
          value={asked}
          options={asking}
          onChange={(value) => set(value === 'some' ? ['failure'] : value === 'never' ? ['never'] : [], ret)}
          hint="Mails that tell the sender of the mail what became of it. A mail can ask for others itself."
        />
        <SelectField
          label="A notice brings back of the mail"
          pointer={`${at}/ret`}
          value={ret}
          options={contents}
          onChange={(value) => set(notify, value)}
        />
      </div>
      {asked === 'some' &&
        moments.map(({ value, name }) => (
          <CheckField
            key={value}
            label={`A notice ${name}`}
            checked={notify.includes(value)}
            onChange={(wanted) => set(wanted ? [...notify, value] : notify.filter((each) => each !== value), ret)}
          />
        ))}
    </>
  );
}
