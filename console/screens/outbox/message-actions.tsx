import { useState } from 'preact/hooks';
import { api, outcome } from '../../api/client.ts';
import { saveAs } from '../../api/download.ts';
import type { Outcome, Problem } from '../../api/problem.ts';
import { Button } from '../../parts/button.tsx';
import { Confirm } from '../../parts/dialog.tsx';
import { useKeptFocus } from '../../parts/kept-focus.ts';
import { ProblemBox } from '../../parts/problem-box.tsx';
import { tell } from '../../parts/toast.tsx';
import type { Message } from './statuses.tsx';

type Asked = 'cancel' | 'resend';

/** What a person can do with a mail: try it now, take it back, send it again, look at its bytes. */
export function MessageActions({
  message,
  reload,
}: {
  readonly message: Message;
  readonly reload: () => Promise<void>;
}) {
  const { id, status, nextAttemptAt } = message;
  const params = { params: { path: { id } } };
  const [asked, setAsked] = useState<Asked>();
  const [problem, setProblem] = useState<Problem>();
  const buttons = useKeptFocus<HTMLDivElement>();
  const done = async (answer: Outcome<unknown>, text: string) => {
    setAsked(undefined);
    setProblem(answer.ok ? undefined : answer.problem);
    if (answer.ok) tell(text);
    await reload();
  };
  const retry = async () => done(await outcome(api.POST('/messages/{id}/retry', params)), 'It is tried now.');
  const cancel = async () => done(await outcome(api.DELETE('/messages/{id}', params)), 'It is taken back.');
  const resend = async () => done(await outcome(api.POST('/messages/{id}/resend', params)), 'It is sent again.');
  const download = async () => {
    const bytes = outcome(api.GET('/messages/{id}/mime', { ...params, parseAs: 'blob' }));
    const answer = await saveAs(`${id}.eml`, bytes);
    setProblem(answer.ok ? undefined : answer.problem);
  };
  return (
    <>
      <div class="actions" ref={buttons}>
        {status === 'queued' && nextAttemptAt !== undefined && (
          <Button kind="main" needs="message-retry" onClick={retry}>
            Try now
          </Button>
        )}
        {['failed', 'partiallySent', 'uncertain'].includes(status) && (
          <Button needs="message-resend" onClick={() => setAsked('resend')}>
            Resend
          </Button>
        )}
        {['scheduled', 'queued'].includes(status) && (
          <Button kind="danger" needs="message-cancel" onClick={() => setAsked('cancel')}>
            Cancel the mail
          </Button>
        )}
        <Button needs="message-mime" onClick={download}>
          Download as MIME
        </Button>
      </div>
      <ProblemBox problem={problem} />
      {asked === 'cancel' && (
        <Confirm
          title="Cancel this mail?"
          verb="Cancel the mail"
          needs="message-cancel"
          onConfirm={cancel}
          onClose={() => setAsked(undefined)}
        >
          <p>It is not sent any more to those who do not have it yet. That cannot be undone; its record stays.</p>
        </Confirm>
      )}
      {asked === 'resend' && (
        <Confirm
          title="Send this mail again?"
          verb="Resend"
          needs="message-resend"
          onConfirm={resend}
          onClose={() => setAsked(undefined)}
        >
          <p>
            The same mail goes to those who have not accepted it.
            {status === 'uncertain' && ' Who has got it already may get it twice.'}
          </p>
        </Confirm>
      )}
    </>
  );
}
