------------------------------ MODULE Replicas ------------------------------
(***************************************************************************)
(* The local TCPs, a fail-stop family of which one is current. Each counts *)
(* its own output from an initial number of its own, and the peer's from   *)
(* where the SYN that it was given says. Only the current one moves; of    *)
(* those before nothing is left but, perhaps, a stack that still sends     *)
(* what it once held (a zombie).                                           *)
(*                                                                         *)
(* Assumes that what it is given is a TCP's.                               *)
(* Guarantees of the current one what `Endpoint` does, in its own numbers, *)
(* and that it ignores what acknowledges more than it has sent             *)
(* (RFC 9293, 3.10.7.4).                                                   *)
(***************************************************************************)
EXTENDS Endpoint, Integers

\* Initial numbers lie further apart than any window is wide.
Initial(f) == 20 * f

\* The first connects as any TCP does, those after it to a middleware.
Fresh(f) ==
    [f |-> f, up |-> TRUE, una |-> 0, nxt |-> 0, wnd |-> NoWindow,
     irs |-> 0, in |-> <<>>]

Gone(f) == [Fresh(f) EXCEPT !.up = FALSE]

\* The current replica with its application's half, as an endpoint.
\* `given` is what the application has written to it, `taken` how much of
\* its input the application has.
View(tcp, given, psh, urg, taken) ==
    [Closed(given) EXCEPT
        !.psh = psh, !.urg = urg, !.una = tcp.una, !.wnd = tcp.wnd, !.in = tcp.in,
        !.ack = Len(tcp.in), !.edge = IF Len(tcp.in) > 0 THEN taken + Room ELSE 0]

\* Its own positions and the numbers on its wire.
OnWire(tcp, s) == [s EXCEPT !.seq = @ + Initial(tcp.f), !.ack = @ + tcp.irs]
OffWire(tcp, s) == [s EXCEPT !.seq = @ - tcp.irs, !.ack = @ - Initial(tcp.f)]

HasSent(tcp, s) == [tcp EXCEPT !.nxt = Larger(@, End(s))]

HasReceived(tcp, view, w) ==
    LET s == OffWire(tcp, w)
        then == Heard(view, s, Most(view, s))
    IN IF ~tcp.up \/ w.rst \/ s.acks /\ s.ack > tcp.nxt THEN tcp
       ELSE [tcp EXCEPT !.una = then.una, !.wnd = then.wnd, !.in = then.in]

\* Answered by a SYN-ACK with number `irs`, which offers `wnd`; `more` is
\* what follows it at once.
Connected(tcp, irs, wnd, more) ==
    [tcp EXCEPT !.una = 1, !.nxt = 1, !.irs = irs, !.in = <<Syn>> \o more,
                !.wnd = [edge |-> 1 + wnd, seq |-> 0, ack |-> 1]]
=============================================================================
