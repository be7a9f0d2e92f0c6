---------------------------- MODULE WindowUpdate ----------------------------
(***************************************************************************)
(* The symbols of the window channel. Updates count in the order in which  *)
(* they were sent, which a receiver can only guess from the sequence and   *)
(* acknowledgment numbers that came with them (RFC 9293, 3.10.7.4).        *)
(*                                                                         *)
(* Assumes that whoever sends them moves neither number back.              *)
(* Guarantees that an update that was sent later replaces an earlier one.  *)
(***************************************************************************)
EXTENDS Naturals

\* No window is known yet.
NoWindow == [edge |-> 0, seq |-> 0, ack |-> 0]

IsLater(old, new) ==
    \/ old.seq < new.seq
    \/ old.seq = new.seq /\ old.ack <= new.ack

Latest(old, new) == IF IsLater(old, new) THEN new ELSE old
=============================================================================
