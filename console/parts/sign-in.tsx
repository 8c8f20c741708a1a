import { useEffect, useState } from 'preact/hooks';
import { signInWithKey, start } from '../api/permissions.ts';
import { noAnswer, type Problem } from '../api/problem.ts';
import { session, signInAddress } from '../api/session.ts';
import { Button } from './button.tsx';
import { Dialog } from './dialog.tsx';
import { SecretField } from './field.tsx';
import { Form } from './form.tsx';

/** Asks for a function key, or leads to the sign-in with Entra ID; over the screen, which keeps what was typed. */
export function SignIn({ again }: { readonly again: boolean }) {
  const { value } = session;
  const title = again ? 'Sign in again' : 'Sign in';
  return (
    <Dialog title={title}>
      {value.by === 'entra' && (again ? <EntraAgain /> : <Entra />)}
      {value.by !== 'entra' && <KeyForm reason={value.by === 'nothing' ? value.reason : undefined} />}
    </Dialog>
  );
}

function Entra() {
  return (
    <>
      <p>You sign in with your account at work (Entra ID).</p>
      <div class="actions">
        <a class="button main" href={signInAddress()}>
          Sign in
        </a>
      </div>
    </>
  );
}

/** In another tab, since leaving this one would lose what was typed; it goes on when one comes back to it. */
function EntraAgain() {
  useEffect(() => {
    const look = () => void start();
    addEventListener('focus', look);
    return () => removeEventListener('focus', look);
  }, []);
  return (
    <>
      <p>Your sign-in has ended. Sign in in another tab and come back: what you typed is kept.</p>
      <div class="actions">
        <a class="button main" href={signInAddress()} target="_blank" rel="noopener">
          Sign in in another tab
        </a>
        <Button onClick={start}>Go on</Button>
      </div>
    </>
  );
}

/** What a header can hold. */
const keyText = /^[\x21-\x7e]+$/;

function KeyForm({ reason }: { readonly reason: string | undefined }) {
  const [key, setKey] = useState('');
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem | undefined>(reason === undefined ? undefined : atKey(reason));
  const submit = async () => {
    if (key.trim() === '') return setProblem(atKey('Enter a key.'));
    if (!keyText.test(key.trim()))
      return setProblem(atKey('A key has no blanks, and only letters and signs of ASCII.'));
    setBusy(true);
    const wrong = await signInWithKey(key.trim());
    setBusy(false);
    setProblem(wrong === undefined ? undefined : atKey(wrong));
  };
  return (
    <Form problem={problem} onSubmit={submit} label="Sign in">
      <SecretField
        label="Function key"
        pointer="/key"
        value={key}
        onChange={setKey}
        required
        hint="It is kept in this tab until you close it, and is sent in a header only. In Azure it is under Functions, App keys; npm start prints one."
      />
      <div class="actions">
        <Button submit kind="main" busy={busy}>
          Sign in
        </Button>
      </div>
    </Form>
  );
}

function atKey(detail: string): Problem {
  return { ...noAnswer, text: detail, mistakes: [{ pointer: '/key', detail }] };
}
