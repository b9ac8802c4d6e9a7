"""The ray caster: one warp kernel that turns a head mesh, paint and lights into pixels (CPU and CUDA
alike)."""

import warp as wp

wp.config.log_level = wp.LOG_WARNING if hasattr(wp, "LOG_WARNING") else wp.config.log_level


@wp.struct
class Scene:
    """Everything one picture needs besides the mesh; lengths in decimetres, frame of the head."""

    eye: wp.vec3  # camera position
    right: wp.vec3  # ray = forward + right * (column - cx) + down * (row - cy)
    down: wp.vec3
    forward: wp.vec3
    key_direction: wp.vec3
    key: wp.vec3
    fill_direction: wp.vec3
    fill: wp.vec3
    rim_direction: wp.vec3
    rim: wp.vec3
    sky: wp.vec3
    ground: wp.vec3
    up: wp.vec3
    shadow: float  # 0 none .. 1 black
    gloss: float
    skin: wp.vec3
    lips: wp.vec3
    hair: wp.vec3
    cloth: wp.vec3
    iris: wp.vec3
    pupil: float  # radians
    iris_size: float  # radians
    gaze_left: wp.vec3
    gaze_right: wp.vec3
    centre_left: wp.vec3
    centre_right: wp.vec3
    eye_radius: float
    teeth: wp.vec3
    mouth_front: float  # z of the lips; the mouth darkens behind it
    strands: float
    side: int
    samples: int  # rays per pixel, on a rank-1 lattice
    stride: int
    paint_left: float  # paint rectangle in template x, y
    paint_top: float
    paint_scale: float  # texels per decimetre


@wp.func
def texel(paint: wp.array2d(dtype=wp.vec3), x: float, y: float):
    rows = paint.shape[0]
    columns = paint.shape[1]
    cx = wp.clamp(x, 0.0, float(columns) - 1.001)
    cy = wp.clamp(y, 0.0, float(rows) - 1.001)
    i = int(cx)
    j = int(cy)
    fx = cx - float(i)
    fy = cy - float(j)
    top = paint[j, i] * (1.0 - fx) + paint[j, i + 1] * fx
    bottom = paint[j + 1, i] * (1.0 - fx) + paint[j + 1, i + 1] * fx
    return top * (1.0 - fy) + bottom * fy


@wp.func
def ramp(low: float, high: float, x: float):
    t = wp.clamp((x - low) / (high - low), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


@wp.func
def wrapped(cosine: float, wrap: wp.vec3):
    """Diffuse light that creeps round the terminator, red furthest: the look of skin."""
    return wp.vec3(
        wp.max(0.0, (cosine + wrap[0]) / (1.0 + wrap[0])),
        wp.max(0.0, (cosine + wrap[1]) / (1.0 + wrap[1])),
        wp.max(0.0, (cosine + wrap[2]) / (1.0 + wrap[2])),
    )


@wp.func
def eye_colour(s: Scene, p: wp.vec3, centre: wp.vec3, gaze: wp.vec3):
    """Albedo on the eyeball from the angle to the line of gaze."""
    d = wp.normalize(p - centre)
    angle = wp.acos(wp.clamp(wp.dot(d, gaze), -1.0, 1.0))
    white = wp.vec3(0.80, 0.76, 0.73) - wp.vec3(0.0, 0.10, 0.10) * ramp(0.7, 1.3, angle)
    streak = 0.9 + 0.1 * wp.sin(90.0 * d[0]) * wp.sin(90.0 * d[1])
    iris = s.iris * streak * (0.75 + 0.5 * ramp(s.pupil, s.iris_size * 0.75, angle))
    iris = iris * (1.0 - 0.65 * ramp(s.iris_size * 0.78, s.iris_size, angle))
    iris = iris * ramp(s.pupil * 0.85, s.pupil * 1.1, angle)
    edge = ramp(s.iris_size * 0.93, s.iris_size * 1.08, angle)
    return iris * (1.0 - edge) + white * edge


@wp.kernel(enable_backward=False)
def cast(
    mesh: wp.uint64,
    s: Scene,
    triangles: wp.array2d(dtype=int),
    normals: wp.array(dtype=wp.vec3),
    canonical: wp.array(dtype=wp.vec3),
    marks: wp.array(dtype=wp.vec3),
    marks2: wp.array(dtype=wp.vec3),
    part: wp.array(dtype=int),
    colour_paint: wp.array2d(dtype=wp.vec3),
    relief_paint: wp.array2d(dtype=wp.vec3),
    image: wp.array2d(dtype=wp.vec4),
):
    row, column = wp.tid()
    total = wp.vec4(0.0, 0.0, 0.0, 0.0)
    lit = float(1.0)  # noqa: UP018 (a warp variable, not a constant)
    asked = int(0)  # noqa: UP018
    for sub in range(s.samples):
        dx = (float(sub) + 0.5) / float(s.samples) - 0.5
        dy = float((sub * s.stride) % s.samples) / float(s.samples) + 0.5 / float(s.samples) - 0.5
        middle = 0.5 * (float(s.side) - 1.0)
        ray = wp.normalize(
            s.forward + s.right * (float(column) + dx - middle) + s.down * (float(row) + dy - middle)
        )
        hit = wp.mesh_query_ray(mesh, s.eye, ray, 1.0e4)
        if hit.result:
            a = triangles[hit.face, 0]
            b = triangles[hit.face, 1]
            c = triangles[hit.face, 2]
            w = 1.0 - hit.u - hit.v
            p = s.eye + ray * hit.t
            n = wp.normalize(normals[a] * hit.u + normals[b] * hit.v + normals[c] * w)
            q = canonical[a] * hit.u + canonical[b] * hit.v + canonical[c] * w
            m = marks[a] * hit.u + marks[b] * hit.v + marks[c] * w  # lips, lash line, hair
            m2 = (
                marks2[a] * hit.u + marks2[b] * hit.v + marks2[c] * w
            )  # cloth, front of face, open to the sky
            kind = part[a]
            if part[b] < kind:
                kind = part[b]
            if part[c] < kind:
                kind = part[c]
            albedo = wp.vec3(0.5, 0.5, 0.5)
            gloss = s.gloss
            sharp = float(18.0)  # noqa: UP018
            dim = float(1.0)  # noqa: UP018
            wrap = wp.vec3(0.35, 0.18, 0.12)
            if kind == 1 or kind == 2:
                centre = s.centre_left
                gaze = s.gaze_left
                if kind == 2:
                    centre = s.centre_right
                    gaze = s.gaze_right
                albedo = eye_colour(s, p, centre, gaze)
                n = wp.normalize(p - centre)
                gloss = 0.9
                sharp = 120.0
                above = wp.mesh_query_ray(mesh, p + n * 0.004, wp.normalize(wp.vec3(0.0, 0.75, 0.65)), 0.11)
                if above.result:
                    dim = 0.62
            elif kind == 3:
                albedo = s.teeth
                gloss = 0.35
                sharp = 60.0
                dim = wp.clamp(1.0 - 2.6 * (s.mouth_front - 0.10 - p[2]), 0.12, 1.0)
            elif kind == 4:
                albedo = wp.vec3(0.55, 0.24, 0.23)
                gloss = 0.3
                dim = wp.clamp(1.0 - 2.2 * (s.mouth_front - 0.10 - p[2]), 0.1, 0.9)
            elif kind == 5:
                albedo = wp.vec3(0.30, 0.10, 0.09)
                gloss = 0.15
                dim = wp.clamp(1.0 - 5.0 * (s.mouth_front - 0.09 - p[2]), 0.05, 1.0)
            else:
                x = (q[0] - s.paint_left) * s.paint_scale
                y = (s.paint_top - q[1]) * s.paint_scale
                front = ramp(0.15, 0.45, m2[1])
                tone = texel(colour_paint, x, y)
                relief = texel(relief_paint, x, y)
                albedo = wp.cw_mul(s.skin, tone * front + wp.vec3(1.0, 1.0, 1.0) * (1.0 - front))
                n = wp.normalize(n - wp.vec3(relief[0], relief[1], 0.0) * front)
                dim = 1.0 - front * wp.clamp(relief[2], 0.0, 0.85)
                lip = ramp(0.30, 0.62, m[0])
                albedo = albedo * (1.0 - lip) + wp.cw_mul(s.lips, wp.vec3(1.0, 1.0, 1.0)) * lip
                gloss = gloss * (1.0 + 1.2 * lip)
                lash = wp.clamp(m[1], 0.0, 1.0)
                albedo = albedo * (1.0 - 0.9 * lash) + wp.vec3(0.03, 0.02, 0.02) * 0.9 * lash
                wave = wp.sin(3.1 * q[1] + 7.0 * q[2]) * 1.7
                strand = 0.5 + 0.25 * (
                    wp.sin(s.strands * (q[0] * 2.3 + wave * 0.3))
                    + wp.sin(s.strands * (2.9 * q[2] - q[0]) + 2.0 * wave)
                )
                cover = ramp(0.32, 0.55, m[2] + 0.14 * (strand - 0.5))
                if cover > 0.0:
                    albedo = albedo * (1.0 - cover) + s.hair * (0.55 + 0.9 * strand) * cover
                    gloss = gloss * (1.0 - cover) + 0.22 * cover
                    n = wp.normalize(n + wp.vec3(strand - 0.5, 0.0, 0.0) * 0.5 * cover)
                cloth = ramp(0.4, 0.5, m2[0])
                albedo = albedo * (1.0 - cloth) + s.cloth * cloth
                gloss = gloss * (1.0 - cloth)
            if wp.dot(n, ray) > 0.0:
                n = wp.normalize(n - ray * (wp.dot(n, ray) * 1.02))
            if asked == 0 and s.shadow > 0.0 and wp.dot(n, s.key_direction) > -0.1:
                asked = 1  # one shadow ray serves the whole pixel
                block = wp.mesh_query_ray(mesh, p + n * 0.02, s.key_direction, 20.0)
                if block.result:
                    lit = 1.0 - s.shadow
            sky = 0.5 + 0.5 * wp.dot(n, s.up)
            open = wp.clamp(m2[2], 0.0, 1.0)
            light = (s.ground * (1.0 - sky) + s.sky * sky) * (0.25 + 0.75 * open)
            dim = dim * (0.55 + 0.45 * open)
            light += wp.cw_mul(s.key, wrapped(wp.dot(n, s.key_direction), wrap)) * lit
            light += wp.cw_mul(s.fill, wrapped(wp.dot(n, s.fill_direction), wrap))
            light += wp.cw_mul(s.rim, wrapped(wp.dot(n, s.rim_direction), wp.vec3(0.05, 0.05, 0.05)))
            half_key = wp.normalize(s.key_direction - ray)
            half_fill = wp.normalize(s.fill_direction - ray)
            graze = 0.35 + 0.65 * wp.pow(1.0 - wp.clamp(-wp.dot(n, ray), 0.0, 1.0), 3.0)
            shine = s.key * wp.pow(wp.max(0.0, wp.dot(n, half_key)), sharp) * lit
            shine += s.fill * wp.pow(wp.max(0.0, wp.dot(n, half_fill)), sharp)
            colour = wp.cw_mul(albedo, light) * dim + shine * (gloss * graze * dim)
            total += wp.vec4(colour[0], colour[1], colour[2], 1.0)
    image[row, column] = total / float(s.samples)


@wp.kernel(enable_backward=False)
def openness(
    mesh: wp.uint64,
    points: wp.array(dtype=wp.vec3),
    normals: wp.array(dtype=wp.vec3),
    share: wp.array(dtype=float),
):
    """How much of the hemisphere above each vertex is free of the head itself (64 rays, within 1.5 dm)."""
    i = wp.tid()
    n = normals[i]
    helper = wp.vec3(0.0, 1.0, 0.0)
    if wp.abs(n[1]) > 0.9:
        helper = wp.vec3(1.0, 0.0, 0.0)
    t = wp.normalize(wp.cross(n, helper))
    b = wp.cross(n, t)
    free = float(0.0)  # noqa: UP018
    for k in range(64):
        height = wp.sqrt((float(k) + 0.5) / 64.0)
        turn = 2.3999632 * float(k)
        flat = wp.sqrt(1.0 - height * height)
        ray = n * height + t * (flat * wp.cos(turn)) + b * (flat * wp.sin(turn))
        hit = wp.mesh_query_ray(mesh, points[i] + n * 0.012, ray, 1.5)
        if not hit.result:
            free += 1.0
    share[i] = free / 64.0
