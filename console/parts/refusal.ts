import { type Dispatch, type StateUpdater, useEffect, useState } from 'preact/hooks';
import type { Problem } from '../api/problem.ts';

/** What the service said when somebody saved what they had `typed`: until they type something else. */
export function useRefusal(
  ...typed: readonly unknown[]
): readonly [Problem | undefined, Dispatch<StateUpdater<Problem | undefined>>] {
  const [refused, setRefused] = useState<Problem>();
  useEffect(() => setRefused(undefined), [...typed]);
  return [refused, setRefused];
}
