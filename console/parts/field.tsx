import type { ComponentChildren } from 'preact';
import { useId, useState } from 'preact/hooks';
import { useMistake } from './form.tsx';

interface FieldProps {
  readonly label: string;
  /** Where in the request it is (RFC 6901): mistakes there are shown here. */
  readonly pointer?: string | undefined;
  /** What to enter, or why. */
  readonly hint?: ComponentChildren;
  /** What is wrong with it, beside what the service said. */
  readonly error?: string | undefined;
}

/** Preact's types want one type of input at each place. */
const asText = (type: string) => type as 'text';

interface Described {
  readonly id: string;
  readonly 'aria-describedby': string | undefined;
  readonly 'aria-invalid': 'true' | undefined;
}

interface NotesProps {
  /** Of the field that they are about. */
  readonly id: string;
  readonly hint: ComponentChildren;
  readonly wrong: string | undefined;
}

/** What to enter, and what is wrong with it, under a field. */
function Notes({ id, hint, wrong }: NotesProps) {
  return (
    <>
      {hint && (
        <p class="hint" id={`${id}-hint`}>
          {hint}
        </p>
      )}
      {wrong && (
        <p class="mistake" id={`${id}-wrong`}>
          {wrong}
        </p>
      )}
    </>
  );
}

/** The ids of a field's notes, for who hears the page instead of seeing it. */
const describedBy = ({ id, hint, wrong }: NotesProps) =>
  [hint ? `${id}-hint` : '', wrong ? `${id}-wrong` : ''].filter(Boolean).join(' ') || undefined;

/** A label, what to enter, and what is wrong with it, around whatever one enters it with. */
function Field({
  label,
  pointer,
  hint,
  error,
  children,
}: FieldProps & { readonly children: (of: Described) => ComponentChildren }) {
  const id = useId();
  const told = useMistake(pointer);
  const wrong = error ?? told;
  return (
    <div class={wrong ? 'field wrong' : 'field'}>
      <label for={id}>{label}</label>
      {children({
        id,
        'aria-describedby': describedBy({ id, hint, wrong }),
        'aria-invalid': wrong ? 'true' : undefined,
      })}
      <Notes id={id} hint={hint} wrong={wrong} />
    </div>
  );
}

export interface TextFieldProps extends FieldProps {
  readonly value: string;
  readonly onChange: (value: string) => void;
  readonly type?: 'text' | 'email' | 'number' | 'url' | 'search' | 'datetime-local';
  readonly required?: boolean;
  readonly placeholder?: string;
  readonly autoComplete?: string;
  /** More than one line: so many. */
  readonly rows?: number;
  /** Offered while one types; anything else can be typed too. */
  readonly suggestions?: readonly string[];
}

/** One line of text, or several. */
export function TextField({
  value,
  onChange,
  type = 'text',
  required,
  placeholder,
  autoComplete = 'off',
  rows,
  suggestions,
  ...field
}: TextFieldProps) {
  const list = useId();
  const common = { value, placeholder, autoComplete, required, spellcheck: false };
  return (
    <Field {...field}>
      {(of) =>
        rows === undefined ? (
          <>
            <input
              {...of}
              {...common}
              type={asText(type)}
              list={suggestions && list}
              onInput={({ currentTarget }) => onChange(currentTarget.value)}
            />
            {suggestions && (
              <datalist id={list}>
                {suggestions.map((each) => (
                  <option key={each} value={each} />
                ))}
              </datalist>
            )}
          </>
        ) : (
          <textarea {...of} {...common} rows={rows} onInput={({ currentTarget }) => onChange(currentTarget.value)} />
        )
      }
    </Field>
  );
}

/** A password or key: hidden until one wants to see it, and never kept by the browser. */
export function SecretField({
  value,
  onChange,
  required,
  placeholder,
  ...field
}: Omit<TextFieldProps, 'type' | 'rows'>) {
  const [seen, setSeen] = useState(false);
  return (
    <Field {...field}>
      {(of) => (
        <div class="beside">
          <input
            {...of}
            type={asText(seen ? 'text' : 'password')}
            value={value}
            placeholder={placeholder}
            required={required}
            autoComplete="off"
            spellcheck={false}
            onInput={({ currentTarget }) => onChange(currentTarget.value)}
          />
          <button
            type="button"
            aria-pressed={seen}
            aria-label={`Show ${field.label.toLowerCase()}`}
            onClick={() => setSeen(!seen)}
          >
            {seen ? 'Hide' : 'Show'}
          </button>
        </div>
      )}
    </Field>
  );
}

export interface SelectFieldProps<V extends string> extends FieldProps {
  readonly value: V;
  readonly options: readonly { readonly value: V; readonly name: string }[];
  readonly onChange: (value: V) => void;
}

/** One of several. */
export function SelectField<V extends string>({ value, options, onChange, ...field }: SelectFieldProps<V>) {
  return (
    <Field {...field}>
      {(of) => (
        <select
          {...of}
          value={value}
          onChange={({ currentTarget }) => {
            const chosen = options.find((option) => option.value === currentTarget.value);
            if (chosen) onChange(chosen.value);
          }}
        >
          {options.map((option) => (
            <option key={option.value} value={option.value}>
              {option.name}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}

export interface CheckFieldProps {
  readonly label: ComponentChildren;
  readonly checked: boolean;
  readonly onChange: (checked: boolean) => void;
  readonly hint?: ComponentChildren;
  readonly pointer?: string;
}

/** Yes or no. */
export function CheckField({ label, checked, onChange, hint, pointer }: CheckFieldProps) {
  const id = useId();
  const wrong = useMistake(pointer);
  return (
    <div class="field check">
      <input
        id={id}
        type="checkbox"
        checked={checked}
        aria-describedby={describedBy({ id, hint, wrong })}
        aria-invalid={wrong ? 'true' : undefined}
        onChange={({ currentTarget }) => onChange(currentTarget.checked)}
      />
      <label for={id}>{label}</label>
      <Notes id={id} hint={hint} wrong={wrong} />
    </div>
  );
}
