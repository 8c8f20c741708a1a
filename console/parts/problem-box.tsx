import type { Problem } from '../api/problem.ts';
import { useUnclaimed } from './form.tsx';
import { useKeptFocus } from './kept-focus.ts';

/** Says what went wrong, with each mistake that no field of the form around it shows. */
export function ProblemBox({
  problem,
  retry,
}: {
  readonly problem: Problem | undefined;
  readonly retry?: () => unknown;
}) {
  const mistakes = useUnclaimed(problem);
  const box = useKeptFocus<HTMLDivElement>();
  return (
    <div role="alert" ref={box} class={problem ? 'notice bad' : 'hidden'}>
      {problem && (
        <>
          <p>{problem.text}</p>
          {mistakes.length > 0 && (
            <ul>
              {mistakes.map(({ pointer, detail }) => (
                <li key={pointer + detail}>
                  {pointer && <code>{pointer}</code>} {detail}
                </li>
              ))}
            </ul>
          )}
          {retry && (
            <button type="button" onClick={() => void retry()}>
              Try again
            </button>
          )}
        </>
      )}
    </div>
  );
}
