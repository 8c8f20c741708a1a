import { useId, useState } from 'preact/hooks';
import { useLocation } from 'preact-iso';
import { api, outcome } from '../../api/client.ts';
import { base } from '../../parts/address.ts';
import { Button } from '../../parts/button.tsx';

/** Names that are offered at most, as many as the service answers at once. */
const maxNames = 1_000;

/** Opens an account by its name, which is completed while one types: for services with more accounts than a page has. */
export function OpenAccount() {
  const { route } = useLocation();
  const id = useId();
  const [name, setName] = useState('');
  const [names, setNames] = useState<readonly string[]>();
  const loadNames = async () => {
    if (names) return;
    setNames([]);
    const answer = await outcome(api.GET('/accounts', { params: { query: { top: maxNames } } }));
    // Where that failed, the next look at the field tries again.
    setNames(answer.ok ? answer.data.items.map((account) => account.name) : undefined);
  };
  return (
    <form
      class="beside"
      aria-label="Open an account"
      onSubmit={(event) => {
        event.preventDefault();
        if (name.trim() !== '') route(`${base}/accounts/${encodeURIComponent(name.trim().toLowerCase())}`);
      }}
    >
      <label class="hidden" for={id}>
        Name of an account
      </label>
      <input
        id={id}
        type="search"
        class="small"
        placeholder="Name of an account"
        list={`${id}-names`}
        value={name}
        autoComplete="off"
        onFocus={() => void loadNames()}
        onInput={({ currentTarget }) => setName(currentTarget.value)}
      />
      <datalist id={`${id}-names`}>
        {(names ?? []).map((each) => (
          <option key={each} value={each} />
        ))}
      </datalist>
      <Button submit>Open</Button>
    </form>
  );
}
