import { useState } from 'preact/hooks';
import { api, outcome } from '../../api/client.ts';
import type { Problem } from '../../api/problem.ts';
import { useResource } from '../../api/resource.ts';
import { Button } from '../../parts/button.tsx';
import { countOf } from '../../parts/count.ts';
import { CheckField } from '../../parts/field.tsx';
import { forget, useKept } from '../../parts/kept.ts';
import { Section } from '../../parts/page.tsx';
import { ProblemBox } from '../../parts/problem-box.tsx';
import { foldersOf } from '../account/form-names.ts';

interface Folder {
  readonly total: number | undefined;
  readonly unread: number | undefined;
  readonly use: string | undefined;
}

export interface FoldersProps {
  readonly account: string;
  /** Answers why it was not saved; undefined: it was. */
  readonly save: (folders: readonly string[]) => Promise<Problem | undefined>;
}

/** The folders of the mailbox, to tick those that are imported. */
export function Folders({ account, save }: FoldersProps) {
  const list = useResource(`folders ${account}`, (signal) =>
    outcome(api.GET('/accounts/{account}/folders', { params: { path: { account } }, signal })),
  );
  const form = foldersOf(account);
  const [ticked, setTicked] = useKept<ReadonlyMap<string, boolean>>(form, new Map());
  const [problem, setProblem] = useState<Problem>();
  const items = list.data?.items ?? [];
  const isTicked = (name: string, selected: boolean) => ticked.get(name) ?? selected;
  const chosen = items.filter(({ name, selected }) => isTicked(name, selected)).map(({ name }) => name);
  const changed = items.some(({ name, selected }) => isTicked(name, selected) !== selected);
  const tick = (name: string, to: boolean) => {
    const next = new Map(ticked).set(name, to);
    setTicked(next);
    if (items.every((item) => (next.get(item.name) ?? item.selected) === item.selected)) forget(form);
  };
  const submit = async () => {
    const wrong = await save(chosen);
    setProblem(wrong);
    if (wrong) return;
    await list.reload();
    setTicked(new Map());
    forget(form);
  };
  const notNow = chosen.length === 0 ? 'Tick at least one folder.' : changed ? undefined : 'Nothing has changed.';
  return (
    <Section title="Folders">
      <ProblemBox problem={list.problem} retry={list.reload} />
      {!list.data && !list.problem && <p role="status">Asking the mail server for its folders …</p>}
      {items.length > 0 && (
        <fieldset>
          <legend>Imported are</legend>
          {items.map(({ name, total, unread, use, selected }) => (
            <CheckField
              key={name}
              label={
                <>
                  {name} <span class="quiet">{describe({ total, unread, use })}</span>
                </>
              }
              checked={isTicked(name, selected)}
              onChange={(to) => tick(name, to)}
            />
          ))}
          <ProblemBox problem={problem} />
          <p>
            <Button needs="account-patch" notNow={notNow} onClick={submit}>
              Save the folders
            </Button>
          </p>
        </fieldset>
      )}
    </Section>
  );
}

function describe({ total, unread, use }: Folder): string {
  const parts = [use, total === undefined ? '' : countOf(total, 'mail'), unread ? `${unread} unread` : ''];
  return parts.filter(Boolean).join(', ');
}
