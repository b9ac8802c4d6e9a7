"""What a trained model sees and keeps.

attention        maps of where an AU is read, and how well they localise it
attention_study  how much of these maps lies where the AU moves the surface
decoding         a decoder fitted to a run: features -> a colour picture
reconstructions  features decoded to pictures, and how close each is to its original
swaps            exchange of shape and texture, step by step
factor_faces     studio faces with chosen factors of wild: what each costs
playground       a rendered face and a run's reading of it
shown_faces      the faces that figures show
heads            whole heads: the strongest of each AU, the best and worst of a run
first_screen     what the first figure of README and of a run shows
side_by_side     several runs compared: names, scores per AU, the same faces
"""
