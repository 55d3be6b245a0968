/** How a registry is told of a replica: paths below its URL, in which `{id}`, `{host}` and `{port}` are the replica's. */
export interface RegistryForm {
  /** Called with PUT for each request that was sent to the replica. */
  readonly increment: string;
  /** Called with DELETE when the replica does not work. */
  readonly deregister: string;
}

/** Both releases of the stack's registry: that of the original gateway's document, and the newer one. */
const STACK_FORMS: readonly RegistryForm[] = [
  { increment: '/increment?service_id={host}', deregister: '/deregister?service_id={host}' },
  { increment: '/services/increment?id={id}', deregister: '/deregister?id={host}' },
];

/** The forms that a registry may speak, the first to be tried first. A template that is given holds for all of them. */
export function registryForms({
  increment,
  deregister,
}: Readonly<{ [part in keyof RegistryForm]?: string | undefined }>): readonly RegistryForm[] {
  if (increment !== undefined && deregister !== undefined) return [{ increment, deregister }];
  return STACK_FORMS.map((form) => ({
    increment: increment ?? form.increment,
    deregister: deregister ?? form.deregister,
  }));
}
