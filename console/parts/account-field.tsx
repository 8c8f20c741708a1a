import { api, outcome } from '../api/client.ts';
import { useRefusal } from '../api/permissions.ts';
import { useResource } from '../api/resource.ts';
import { TextField } from './field.tsx';

/** Names that are offered at most; any other can be typed. */
const top = 1000;

export interface AccountFieldProps {
  readonly value: string;
  readonly onChange: (value: string) => void;
  readonly pointer?: string;
  readonly hint?: string;
  readonly error?: string | undefined;
}

/** The name of an account: typed, or chosen from those that there are, where the caller may list them. */
export function AccountField(props: AccountFieldProps) {
  const refusal = useRefusal('accounts-list');
  const list = useResource(refusal === undefined ? 'account names' : undefined, (signal) =>
    outcome(api.GET('/accounts', { params: { query: { top } }, signal })),
  );
  return <TextField label="Account" {...props} suggestions={list.data?.items.map(({ name }) => name) ?? []} />;
}
