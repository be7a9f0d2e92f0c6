------------------------------ MODULE Network -------------------------------
(***************************************************************************)
(* One direction of the network: the set of segments in flight. A segment  *)
(* stays there when it is delivered (duplication), any one there may be    *)
(* delivered next (reordering), and one that is sent may push another out  *)
(* (loss). Loss at any other time adds nothing to what can be delivered:   *)
(* whatever can happen with fewer segments in flight can happen with more. *)
(*                                                                         *)
(* Assumes nothing of what is sent. Guarantees that whatever is delivered  *)
(* was sent.                                                               *)
(***************************************************************************)
EXTENDS Naturals, FiniteSets

\* What may be in flight once `s` is sent, at most `most` segments.
After(net, s, most) ==
    IF s \in net THEN {net}
    ELSE IF Cardinality(net) < most THEN {net \cup {s}}
    ELSE {(net \ {x}) \cup {s} : x \in net}
=============================================================================
