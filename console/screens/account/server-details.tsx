import type { Draft } from '../../parts/draft.ts';
import { TextField } from '../../parts/field.tsx';
import { ListField } from '../../parts/list-field.tsx';
import { More } from '../../parts/more.tsx';
import { NoticeFields } from './notice-fields.tsx';
import type { Side } from './verification.ts';

/** What an account has that says nothing, in ms. */
const usual = { connectionTimeout: 30_000, timeout: 60_000 } as const;

export interface ServerDetailsProps {
  readonly side: Side;
  readonly draft: Draft;
}

/** What few servers need: how long to wait, how to sign in, and for SMTP the name to greet with and what comes back. */
export function ServerDetails({ side, draft }: ServerDetailsProps) {
  const isSmtp = draft.text(`/${side}/protocol`).startsWith('smtp');
  const mechanisms = [draft.get(`/${side}/auth/mechanisms`) ?? []].flat().map(String);
  const isOdd = (name: keyof typeof usual) => (draft.get(`/${side}/${name}`) ?? usual[name]) !== usual[name];
  const used =
    isOdd('connectionTimeout') ||
    isOdd('timeout') ||
    mechanisms.length > 0 ||
    ['heloName', 'dsn'].some((name) => draft.get(`/${side}/${name}`) !== undefined);
  const pointers = ['connectionTimeout', 'timeout', 'auth/mechanisms', 'heloName', 'dsn/notify', 'dsn/ret'];
  return (
    <More
      summary={isSmtp ? 'Time limits, ways to sign in, delivery notices' : 'Time limits and ways to sign in'}
      used={used}
      pointers={pointers.map((name) => `/${side}/${name}`)}
    >
      <div class="columns">
        <SecondsField
          label="Seconds to connect in"
          pointer={`/${side}/connectionTimeout`}
          draft={draft}
          hint="Empty: 30. With 0 there is no limit of its own."
        />
        <SecondsField
          label="Seconds to wait for each answer"
          pointer={`/${side}/timeout`}
          draft={draft}
          hint="Empty: 60. With 0 there is no limit of its own."
        />
      </div>
      {draft.text(`/${side}/auth/type`) === 'password' && (
        <ListField
          label="Ways to send the password"
          pointer={`/${side}/auth/mechanisms`}
          values={mechanisms}
          onChange={(values) =>
            draft.set(
              `/${side}/auth/mechanisms`,
              values.length === 0 ? undefined : values.map((each) => each.toUpperCase()),
            )
          }
          hint="PLAIN, LOGIN and CRAM-MD5, in the order in which they are tried. Empty: those that the server offers."
        />
      )}
      {isSmtp && (
        <TextField
          label="Name to greet the server with"
          pointer={`/${side}/heloName`}
          value={draft.text(`/${side}/heloName`)}
          onChange={(value) => draft.set(`/${side}/heloName`, value.trim() || undefined)}
          hint="Given with EHLO: a host name. Empty: the address of the connection."
        />
      )}
      {isSmtp && <NoticeFields at={`/${side}/dsn`} draft={draft} />}
    </More>
  );
}

interface SecondsFieldProps {
  readonly label: string;
  readonly pointer: string;
  readonly draft: Draft;
  readonly hint: string;
}

/** A time that the account has in ms, in seconds. */
function SecondsField({ pointer, draft, ...field }: SecondsFieldProps) {
  const ms = draft.get(pointer);
  return (
    <TextField
      {...field}
      type="number"
      pointer={pointer}
      value={typeof ms === 'number' ? String(ms / 1_000) : ''}
      onChange={(value) => draft.set(pointer, value === '' ? undefined : Math.round(Number(value) * 1_000))}
    />
  );
}
