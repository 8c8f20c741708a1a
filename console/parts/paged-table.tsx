import { useState } from 'preact/hooks';
import { Button } from './button.tsx';
import { Table, type TableProps } from './table.tsx';

/** Rows on the screen at a time: a thousand would make it slow. */
const rowsAtATime = 50;

/** A table of rows that are all here already; of many there is a part on the screen. */
export function PagedTable<R>({ rows, ...table }: TableProps<R>) {
  const [wanted, setFrom] = useState(0);
  // There may be fewer rows than before.
  const from = wanted < rows.length ? wanted : 0;
  const shown = rows.slice(from, from + rowsAtATime);
  return (
    <>
      <Table {...table} rows={shown} />
      {rows.length > rowsAtATime && (
        <div class="pages">
          <Button notNow={from === 0 ? 'These are the first.' : undefined} onClick={() => setFrom(from - rowsAtATime)}>
            Before
          </Button>
          <span role="status">
            {from + 1}–{from + shown.length} of {rows.length}
          </span>
          <Button
            notNow={from + rowsAtATime >= rows.length ? 'These are the last.' : undefined}
            onClick={() => setFrom(from + rowsAtATime)}
          >
            After
          </Button>
        </div>
      )}
    </>
  );
}
